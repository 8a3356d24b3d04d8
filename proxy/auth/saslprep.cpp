#include "proxy/auth/saslprep.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include <openssl/crypto.h>
#include <stringprep.h>
#include <uninorm.h>
#include <unistr.h>

// The tables of RFC 3454 are GNU libidn's, the normalisation is GNU libunistring's: libidn's own
// stays with Unicode 3.2 and its known mistakes, PostgreSQL's does not.
namespace sallyport::proxy::auth {
namespace {

using table = const Stringprep_table_element*;

bool is_in(table t, std::uint32_t code) noexcept {
    for (; t->start != 0 || t->end != 0; ++t)
        if (code == t->start || (code > t->start && code <= t->end)) return true;
    return false;
}

template <std::size_t N>
bool is_in_any(const table (&tables)[N], std::uint32_t code) noexcept {
    return std::any_of(std::begin(tables), std::end(tables),
                       [code](table t) { return is_in(t, code); });
}

/// Code points of a password; wiped when they go. Never grows beyond its first capacity.
class code_points {
  public:
    explicit code_points(std::size_t capacity) { codes_.reserve(capacity); }
    code_points(const code_points&) = delete;
    code_points& operator=(const code_points&) = delete;
    ~code_points() { OPENSSL_cleanse(codes_.data(), codes_.capacity() * sizeof(std::uint32_t)); }
    void add(std::uint32_t code) { codes_.push_back(code); }
    [[nodiscard]] const std::vector<std::uint32_t>& all() const noexcept { return codes_; }

  private:
    std::vector<std::uint32_t> codes_;
};

/// Memory that a C library allocated.
template <class T>
class wiped_block {
  public:
    wiped_block(T* data, std::size_t count) : data_(data), count_(count) {
        if (data == nullptr) throw std::bad_alloc();
    }
    wiped_block(const wiped_block&) = delete;
    wiped_block& operator=(const wiped_block&) = delete;
    ~wiped_block() {
        OPENSSL_cleanse(data_, count_ * sizeof(T));
        std::free(data_);
    }
    [[nodiscard]] const T* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }

  private:
    T* data_;
    std::size_t count_;
};

// Section 2.1 of RFC 4013: blanks become the blank, and what is commonly mapped to nothing goes.
void map(std::string_view utf8, code_points& out) {
    const auto* at = reinterpret_cast<const std::uint8_t*>(utf8.data());
    std::size_t left = utf8.size();
    while (left > 0) {
        ucs4_t code = 0;
        const int used = u8_mbtouc(&code, at, left);
        at += used;
        left -= static_cast<std::size_t>(used);
        if (is_in(stringprep_rfc3454_C_1_2, code))
            out.add(0x20);
        else if (!is_in(stringprep_rfc3454_B_1, code))
            out.add(code);
    }
}

// Sections 2.3 and 2.5: nothing that is prohibited, nothing that Unicode 3.2 did not know.
bool has_forbidden(const std::vector<std::uint32_t>& codes) {
    static const table forbidden[] = {
        stringprep_rfc3454_C_1_2, stringprep_rfc3454_C_2_1, stringprep_rfc3454_C_2_2,
        stringprep_rfc3454_C_3,   stringprep_rfc3454_C_4,   stringprep_rfc3454_C_5,
        stringprep_rfc3454_C_6,   stringprep_rfc3454_C_7,   stringprep_rfc3454_C_8,
        stringprep_rfc3454_C_9,   stringprep_rfc3454_A_1};
    return std::any_of(codes.begin(), codes.end(),
                       [](std::uint32_t code) { return is_in_any(forbidden, code); });
}

// Section 2.4: text from right to left has no letter from left to right, and none but its own at
// either end.
bool mixes_directions(const std::vector<std::uint32_t>& codes) {
    const auto right_to_left = [](std::uint32_t code) {
        return is_in(stringprep_rfc3454_D_1, code);
    };
    if (std::none_of(codes.begin(), codes.end(), right_to_left)) return false;
    return !right_to_left(codes.front()) || !right_to_left(codes.back()) ||
           std::any_of(codes.begin(), codes.end(),
                       [](std::uint32_t code) { return is_in(stringprep_rfc3454_D_2, code); });
}

}  // namespace

secret prepare_password(std::string_view password) {
    const bool ascii = std::all_of(password.begin(), password.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (ascii || u8_check(reinterpret_cast<const std::uint8_t*>(password.data()),
                          password.size()) != nullptr)
        return secret(password);
    code_points mapped(password.size());
    map(password, mapped);
    const auto& codes = mapped.all();
    if (codes.empty() || has_forbidden(codes) || mixes_directions(codes)) return secret(password);

    std::size_t count = 0;
    auto* const normal = u32_normalize(UNINORM_NFKC, codes.data(), codes.size(), nullptr, &count);
    const wiped_block<std::uint32_t> normalised(normal, count);
    std::size_t bytes = 0;
    auto* const text = u32_to_u8(normalised.data(), normalised.size(), nullptr, &bytes);
    const wiped_block<std::uint8_t> utf8(text, bytes);
    return secret({reinterpret_cast<const char*>(utf8.data()), utf8.size()});
}

}  // namespace sallyport::proxy::auth
