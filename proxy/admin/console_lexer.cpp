#include "proxy/admin/console_lexer.h"

namespace sallyport::proxy::admin {
namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

class lexer {
  public:
    explicit lexer(std::string_view text) : rest_(text) {}

    token_list run() {
        while (out_.error.empty()) {
            skip_blank();
            if (rest_.empty() || !out_.error.empty()) break;
            if (out_.tokens.size() == tokens_max) {
                out_.error = "The command is too long.";
                break;
            }
            next();
        }
        return std::move(out_);
    }

  private:
    void skip_blank() {
        while (!rest_.empty()) {
            if (is_space(rest_.front())) {
                rest_.remove_prefix(1);
            } else if (rest_.starts_with("--")) {
                const auto end = rest_.find('\n');
                rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
            } else if (rest_.starts_with("/*")) {
                skip_block_comment();
            } else {
                return;
            }
        }
    }

    void skip_block_comment() {
        std::size_t depth = 0;
        while (!rest_.empty()) {
            if (rest_.starts_with("/*")) {
                ++depth;
                rest_.remove_prefix(2);
            } else if (rest_.starts_with("*/")) {
                rest_.remove_prefix(2);
                if (--depth == 0) return;
            } else {
                rest_.remove_prefix(1);
            }
        }
        out_.error = "A /* comment never ends.";
    }

    void next() {
        const char c = rest_.front();
        if (c == '\'') return quoted('\'', token::kind::string);
        if (c == '"') return quoted('"', token::kind::name);
        if (!in_word(c)) {
            out_.tokens.push_back({token::kind::symbol, std::string(1, c)});
            rest_.remove_prefix(1);
            return;
        }
        std::size_t length = 0;
        // Two hyphens begin a comment even inside what looks like a word.
        while (length < rest_.size() && in_word(rest_[length]) &&
               !rest_.substr(length).starts_with("--"))
            ++length;
        out_.tokens.push_back({token::kind::word, std::string(rest_.substr(0, length))});
        rest_.remove_prefix(length);
    }

    void quoted(char quote, token::kind what) {
        std::string text;
        rest_.remove_prefix(1);
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c != quote) {
                text += c;
            } else if (!rest_.empty() && rest_.front() == quote) {
                text += quote;
                rest_.remove_prefix(1);
            } else {
                out_.tokens.push_back({what, std::move(text)});
                return;
            }
        }
        out_.error = quote == '\'' ? "A '…' literal never ends." : "A \"…\" name never ends.";
    }

    std::string_view rest_;
    token_list out_;
};

}  // namespace

token_list split_tokens(std::string_view text) {
    return lexer(text).run();
}

}  // namespace sallyport::proxy::admin
