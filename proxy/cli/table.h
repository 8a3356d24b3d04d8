#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Tables and times for people. Pure.
namespace sallyport::proxy::cli {

/// Columns that a terminal needs for the text (wide characters two, combining ones none).
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

/// Breaks text into lines of at most `width` columns, at its newlines, at spaces where there is one
/// in the second half of a line, else anywhere; loses nothing but the spaces it breaks at.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// A table that fits `width`: cells of the widest columns wrap, nothing is cut. What stands beneath
/// a row (a statement) is indented and wrapped over the whole width.
class table {
  public:
    explicit table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
    /// As many cells as headings. Text must be visible() already.
    void add(std::vector<std::string> cells, std::string beneath = {});
    /// At most `beneath_lines_max` lines beneath a row; then a line that says how many more there
    /// are, and `more` of that row. 0: all.
    [[nodiscard]] std::string print(std::size_t width, std::size_t beneath_lines_max = 0,
                                    const std::string& more = {}) const;
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

  private:
    struct row {
        std::vector<std::string> cells;
        std::string beneath;
    };
    [[nodiscard]] std::vector<std::size_t> widths(std::size_t width) const;

    std::vector<std::string> headings_;
    std::vector<row> rows_;
};

/// "in 12m (2026-11-21 21:50:00Z)", "3h 5m ago (…)"; "" for "", the text itself if it is no time of
/// the API. `now_ms`: since the epoch, UTC.
[[nodiscard]] std::string when(const std::string& iso, long long now_ms);
/// "12m", "3h 5m", "2d 4h", "8s".
[[nodiscard]] std::string span(long long ms);

}  // namespace sallyport::proxy::cli
