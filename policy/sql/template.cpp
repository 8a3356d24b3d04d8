#include "policy/sql/template.h"

#include <array>
#include <cstdint>

namespace sallyport::policy::sql {
namespace {

enum char_class : std::uint8_t {
    plain,   // copied; a run of these needs no look
    letter,  // starts or continues a word
    digit,
    dot,
    quote,
    name_quote,
    dollar,
    dash,
    slash,
    refused,
};

constexpr std::array<char_class, 256> make_classes() {
    std::array<char_class, 256> t{};
    for (auto& c : t)
        c = refused;
    for (std::size_t i = 0x20; i < 0x7f; ++i)
        t[i] = plain;
    for (const char c : {'\t', '\n', '\r'})
        t[static_cast<unsigned char>(c)] = plain;
    for (std::size_t i = 'a'; i <= 'z'; ++i)
        t[i] = letter;
    for (std::size_t i = 'A'; i <= 'Z'; ++i)
        t[i] = letter;
    for (std::size_t i = '0'; i <= '9'; ++i)
        t[i] = digit;
    t['_'] = letter;
    t['.'] = dot;
    t['\''] = quote;
    t['"'] = name_quote;
    t['$'] = dollar;
    t['-'] = dash;
    t['/'] = slash;
    t['\\'] = refused;
    return t;
}
constexpr auto classes = make_classes();

constexpr char_class class_of(char c) noexcept {
    return classes[static_cast<unsigned char>(c)];
}

constexpr char integer_mark = '\x01';
constexpr char decimal_mark = '\x02';
constexpr char string_mark = '\x03';

/// The scan of one text; each step returns false when the text leaves the certain subset.
class maker {
  public:
    maker(std::string_view sql, char* out) noexcept
        : p_(sql.data()), end_(sql.data() + sql.size()), run_(p_), begin_(p_), out_(out) {}

    bool run() noexcept {
        while (p_ != end_) {
            switch (class_of(*p_)) {
                case plain:
                    ++p_;
                    break;
                case letter:
                    word();
                    break;
                case digit:
                    if (!number()) return false;
                    break;
                case dot:
                    if (p_ + 1 != end_ && class_of(p_[1]) == dot) return false;
                    if (p_ + 1 != end_ && class_of(p_[1]) == digit) {
                        if (!number()) return false;
                    } else {
                        ++p_;
                    }
                    break;
                case quote:
                    if (!string()) return false;
                    break;
                case name_quote:
                    if (!name()) return false;
                    break;
                case dollar:
                    if (!parameter()) return false;
                    break;
                case dash:
                    if (p_ + 1 != end_ && p_[1] == '-') return false;
                    ++p_;
                    break;
                case slash:
                    if (p_ + 1 != end_ && p_[1] == '*') return false;
                    ++p_;
                    break;
                case refused:
                    return false;
            }
        }
        copy_until(p_);
        return true;
    }
    [[nodiscard]] char* out() const noexcept { return out_; }

  private:
    void copy_until(const char* stop) noexcept {
        while (run_ != stop)
            *out_++ = *run_++;
    }
    void replace(const char* from, char mark) noexcept {
        copy_until(from);
        *out_++ = mark;
        run_ = p_;
    }
    [[nodiscard]] bool glued_before(const char* at) const noexcept {
        if (at == begin_) return false;
        const char_class c = class_of(at[-1]);
        return c == letter || c == digit || c == dollar || at[-1] == '&';
    }
    /// After a literal no character may follow that could be read as part of it.
    [[nodiscard]] bool ends_clean() const noexcept {
        if (p_ == end_) return true;
        const char_class c = class_of(*p_);
        return c != letter && c != digit && c != dollar && c != dot && c != quote;
    }
    void word() noexcept {
        do
            ++p_;
        while (p_ != end_ && (class_of(*p_) == letter || class_of(*p_) == digit || *p_ == '$'));
    }
    bool number() noexcept {
        const char* from = p_;
        std::uint64_t value = 0;
        bool fraction = false;
        for (; p_ != end_ && class_of(*p_) == digit; ++p_)
            if (value <= 0xffffffffu) value = value * 10 + static_cast<unsigned>(*p_ - '0');
        if (p_ != end_ && *p_ == '.') {
            fraction = true;
            ++p_;
            const char* digits = p_;
            while (p_ != end_ && class_of(*p_) == digit)
                ++p_;
            if (p_ == digits) return false;
        }
        if (!ends_clean()) return false;
        // The lexer gives a number over 2^31-1 another token than a small one.
        replace(from, fraction || value > 0x7fffffffu ? decimal_mark : integer_mark);
        return true;
    }
    bool string() noexcept {
        const char* from = p_;
        if (glued_before(from)) return false;
        for (++p_; p_ != end_; ++p_) {
            if (class_of(*p_) == refused) return false;
            if (*p_ != '\'') continue;
            if (p_ + 1 == end_ || p_[1] != '\'') break;
            ++p_;
        }
        if (p_ == end_) return false;
        ++p_;
        if (!ends_clean()) return false;
        replace(from, string_mark);
        return true;
    }
    bool name() noexcept {
        if (glued_before(p_)) return false;
        for (++p_; p_ != end_; ++p_) {
            if (class_of(*p_) == refused) return false;
            if (*p_ != '"') continue;
            ++p_;
            if (p_ == end_ || *p_ != '"') return p_ == end_ || *p_ != '\'';
        }
        return false;
    }
    bool parameter() noexcept {
        ++p_;
        const char* digits = p_;
        while (p_ != end_ && class_of(*p_) == digit)
            ++p_;
        return p_ != digits && ends_clean();
    }

    const char* p_;
    const char* end_;
    const char* run_;  // first byte that is not yet in the output
    const char* begin_;
    char* out_;
};

}  // namespace

bool make_template(std::string_view sql, std::string& out) {
    // The template is never longer than the text.
    out.resize(sql.size());
    maker m{sql, out.data()};
    if (m.run()) {
        out.resize(static_cast<std::size_t>(m.out() - out.data()));
        return true;
    }
    out.assign(sql);
    return false;
}

}  // namespace sallyport::policy::sql
