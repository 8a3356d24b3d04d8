#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/crypto.h>

/// Secrets in memory and the files they come from.
namespace sallyport::proxy {

/// A password or key as text: never printed, wiped when it dies or is moved from.
/// Shape: owns its bytes on the heap, so that no copy stays behind in a small-string buffer.
/// Errors: none; there is no stream operator and no conversion to std::string on purpose.
class secret {
  public:
    secret() = default;
    explicit secret(std::string_view text)
        : data_(text.empty() ? nullptr : new char[text.size()]), size_(text.size()) {
        if (data_ != nullptr) std::memcpy(data_, text.data(), size_);
    }
    secret(const secret& other) : secret(other.view()) {}
    secret(secret&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    secret& operator=(secret other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~secret() {
        if (data_ != nullptr) OPENSSL_cleanse(data_, size_);
        delete[] data_;
    }

    /// Valid until this object is assigned to or dies.
    [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  private:
    char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Overwrites a string's bytes before it is given back.
inline void wipe(std::string& text) noexcept {
    if (!text.empty()) OPENSSL_cleanse(text.data(), text.size());
    text.clear();
}

}  // namespace sallyport::proxy
