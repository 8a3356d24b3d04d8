#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Console text to tokens. Pure.
namespace sallyport::proxy::admin {

struct token {
    enum class kind : std::uint8_t {
        word,    ///< letters, digits, _ . - and bytes of other scripts: a keyword, a name, a number
        name,    ///< "…", "" undone: never a keyword
        string,  ///< '…', '' undone
        symbol   ///< any other single character
    };
    kind what = kind::word;
    std::string text;
};

struct token_list {
    std::vector<token> tokens;
    std::string error;  ///< non-empty: what never ended
};

/// Comments are dropped, block comments nest. At most `tokens_max` tokens.
inline constexpr std::size_t tokens_max = 1'000;
[[nodiscard]] token_list split_tokens(std::string_view text);

}  // namespace sallyport::proxy::admin
