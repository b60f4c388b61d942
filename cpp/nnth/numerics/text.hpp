// Numbers in messages.
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace nnth {

// The shortest decimal that reads back as the same value.
inline std::string shortest(double value) {
    std::array<char, 32> digits;
    char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    return {digits.data(), end};
}

}  // namespace nnth
