#pragma once

#include <functional>
#include <string>
#include <string_view>

/// Parts of a random statement, marked inside of its text, so that a failing one can be made
/// smaller without a parser.
namespace sallyport::tests::oracle {

/// What a part is, and so what may stand in its place.
enum class part : char {
    value = 'v',      ///< an integer
    condition = 'c',  ///< a boolean
    query = 'q',      ///< rows with id, k, x, secret
    column = 'u',     ///< a query with one integer column
    item = 'i',       ///< something in FROM, without its alias
    optional = 'o'    ///< may be left out
};

/// `text`, remembered as such a part. Marked texts may be put into one another.
[[nodiscard]] std::string mark(part p, std::string_view text);
/// Without the marks.
[[nodiscard]] std::string plain(std::string_view marked);
/// The smallest text found, by replacing parts by the simplest of their kind or by parts inside of
/// them, that still fails.
[[nodiscard]] std::string smaller(std::string marked,
                                  const std::function<bool(const std::string& sql)>& still_fails);

}  // namespace sallyport::tests::oracle
