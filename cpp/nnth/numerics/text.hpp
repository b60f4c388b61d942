// Numbers in messages.
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace nnth {

// The fewest digits that give the value back.
inline std::string shortest(double value) {
    std::array<char, 32> digits;
    char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    return {digits.data(), end};
}

}  // namespace nnth
