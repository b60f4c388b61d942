// A growing array for the inner loops of a walk, which std::vector would fill with zeros each time.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>

namespace nnth::regions {

// Elements of a trivial type. `resize` leaves new ones unset and may lose old ones; memory is kept
// when the size shrinks. `push` needs capacity from `reserve`.
template <typename T>
class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Buffer() = default;
    Buffer(const Buffer& other) { *this = other; }
    Buffer(Buffer&& other) noexcept = default;
    Buffer& operator=(Buffer&& other) noexcept = default;
    Buffer& operator=(const Buffer& other) {
        if (this == &other) return *this;
        resize(other.size_);
        if (size_ != 0) std::memcpy(data(), other.data(), size_ * sizeof(T));
        return *this;
    }
    ~Buffer() = default;

    void reserve(std::size_t capacity) {
        if (capacity <= capacity_) return;
        capacity_ = capacity + capacity / 2;
        memory_ = std::make_unique_for_overwrite<T[]>(capacity_);
    }
    void resize(std::size_t size) {
        reserve(size);
        size_ = size;
    }
    void push(const T& element) { memory_[size_++] = element; }
    void clear() { size_ = 0; }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T* data() { return memory_.get(); }
    const T* data() const { return memory_.get(); }
    T& operator[](std::size_t index) { return memory_[index]; }
    const T& operator[](std::size_t index) const { return memory_[index]; }
    T* begin() { return data(); }
    T* end() { return data() + size_; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + size_; }

  private:
    std::unique_ptr<T[]> memory_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace nnth::regions
