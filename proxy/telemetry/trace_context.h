#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Which trace a statement belongs to: W3C Trace Context, written into SQL comments as sqlcommenter
/// does.
namespace sallyport::proxy::telemetry {

using trace_id = std::array<std::uint8_t, 16>;
using span_id = std::array<std::uint8_t, 8>;

/// What a client says of the trace in which it asks.
struct trace_context {
    trace_id trace{};
    span_id parent{};
    bool sampled = false;
    std::string state;  ///< tracestate as it came; "" = none, or not a valid one
};

/// The ids of one span. All zero: none.
struct span_ids {
    trace_id trace{};
    span_id span{};
    span_id parent{};  ///< zero: it begins its trace
    bool sampled = true;
    std::string state;
    [[nodiscard]] bool any() const noexcept { return trace != trace_id{}; }
};

/// 32 or 16 lower-case hexadecimal digits, as W3C and OTLP's JSON write ids.
[[nodiscard]] std::string to_hex(const trace_id& id);
[[nodiscard]] std::string to_hex(const span_id& id);

/// `traceparent` of W3C Trace Context: version 00 exactly; of later versions what they promise to
/// keep. Nothing where the text is invalid.
[[nodiscard]] std::optional<trace_context> parse_traceparent(std::string_view text);
/// `tracestate`: at most 512 bytes and 32 members, each `key=value`.
[[nodiscard]] bool valid_tracestate(std::string_view text);

/// The context in a comment of `sql`: `/*traceparent='00-…-…-01',tracestate='…'*/`, values
/// URL-encoded, among other keys, in any comment; the last one that is valid counts. Of a text
/// longer than 64 KiB only a comment at its end is looked at.
/// Cost: one search for a word where there is none.
[[nodiscard]] std::optional<trace_context> find_trace_context(std::string_view sql,
                                                              bool conform = true);

/// Ids for a span of that trace, or of a trace of its own; `sampled` is what the parent says, or
/// true.
[[nodiscard]] span_ids make_span_ids(const std::optional<trace_context>& parent);
/// A span id that no other has.
[[nodiscard]] span_id make_span_id();
/// Whether a trace that begins here is among the `ratio` of all that are kept: decided by its id
/// alone, so that others decide alike.
[[nodiscard]] bool falls_into(const trace_id& id, double ratio) noexcept;

}  // namespace sallyport::proxy::telemetry
