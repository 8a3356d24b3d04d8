#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/cursor.h"
#include "protocol/errors.h"

/// Messages that a client sends. For all of them:
/// Shape:  decode() takes the body (without tag and length); views point into it. encode() appends
///         the whole frame.
/// Errors: decode() consumes the body fully or fails with a body error of errc; counts are checked
///         against the bytes that are there before anything is allocated.
/// Source: PostgreSQL docs, "Message Formats".
namespace sallyport::protocol::frontend {

/// Simple query: may hold several statements.
struct query {
    static constexpr char tag = 'Q';
    std::string_view sql;  ///< without a NUL: the first NUL of the body is its last byte

    [[nodiscard]] static result<query> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const query&, const query&) = default;
};

struct parse {
    static constexpr char tag = 'P';
    std::string_view statement;  ///< empty: the unnamed one; at most 63 bytes
    std::string_view sql;
    std::vector<std::uint32_t> parameter_types;  ///< oids; 0 leaves it to the server

    [[nodiscard]] static result<parse> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const parse&, const parse&) = default;
};

struct bind {
    static constexpr char tag = 'B';
    std::string_view portal;                       ///< at most 63 bytes
    std::string_view statement;                    ///< at most 63 bytes
    std::vector<std::uint16_t> parameter_formats;  ///< 0 text, 1 binary; none, one, or one each
    std::vector<std::optional<bytes>> parameters;  ///< nullopt: NULL
    std::vector<std::uint16_t> result_formats;     ///< none, one, or one per column

    [[nodiscard]] static result<bind> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const bind&, const bind&) = default;
};

/// The two names at the front of a Bind, for large ones whose body has not all arrived.
struct bind_prefix {
    std::string_view portal;
    std::string_view statement;

    /// Errors: need_more = the names do not end in `body` and could still be legal; name_too_long.
    [[nodiscard]] static result<bind_prefix> decode(bytes body) noexcept;
    friend bool operator==(const bind_prefix&, const bind_prefix&) = default;
};

struct execute {
    static constexpr char tag = 'E';
    std::string_view portal;
    std::int32_t row_count_max = 0;  ///< 0 (or less): all

    [[nodiscard]] static result<execute> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const execute&, const execute&) = default;
};

/// What Describe and Close speak of.
enum class named_kind : char { statement = 'S', portal = 'P' };

struct describe {
    static constexpr char tag = 'D';
    named_kind kind = named_kind::statement;
    std::string_view name;

    [[nodiscard]] static result<describe> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const describe&, const describe&) = default;
};

struct close {
    static constexpr char tag = 'C';
    named_kind kind = named_kind::statement;
    std::string_view name;

    [[nodiscard]] static result<close> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const close&, const close&) = default;
};

/// The fast path: runs any function by its oid, without SQL text.
struct function_call {
    static constexpr char tag = 'F';
    std::uint32_t function = 0;  ///< oid
    std::vector<std::uint16_t> argument_formats;
    std::vector<std::optional<bytes>> arguments;
    std::uint16_t result_format = 0;

    [[nodiscard]] static result<function_call> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const function_call&, const function_call&) = default;
};

struct copy_data {
    static constexpr char tag = 'd';
    bytes data;  ///< not necessarily one row

    [[nodiscard]] static result<copy_data> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const copy_data&, const copy_data&) = default;
};

struct copy_fail {
    static constexpr char tag = 'f';
    std::string_view message;

    [[nodiscard]] static result<copy_fail> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const copy_fail&, const copy_fail&) = default;
};

/// Messages that are only a tag.
template <char Tag>
struct empty_message {
    static constexpr char tag = Tag;

    [[nodiscard]] static result<empty_message> decode(bytes body) noexcept {
        if (!body.empty()) return errc::trailing_bytes;
        return empty_message{};
    }
    void encode(std::string& out) const {
        const char frame[] = {Tag, 0, 0, 0, 4};
        out.append(frame, sizeof frame);
    }
    friend bool operator==(empty_message, empty_message) = default;
};
using copy_done = empty_message<'c'>;
using flush = empty_message<'H'>;
using sync = empty_message<'S'>;
using terminate = empty_message<'X'>;

// The three readings of `p`: the exchange that is under way says which one applies.

/// The answer to a cleartext or md5 request. Secret: wipe the buffer, never log it.
struct password {
    static constexpr char tag = 'p';
    std::string_view text;

    [[nodiscard]] static result<password> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const password&, const password&) = default;
};

struct sasl_initial_response {
    static constexpr char tag = 'p';
    std::string_view mechanism;
    std::optional<bytes> data;  ///< nullopt: none sent (length -1); answer an empty challenge

    [[nodiscard]] static result<sasl_initial_response> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const sasl_initial_response&, const sasl_initial_response&) = default;
};

struct sasl_response {
    static constexpr char tag = 'p';
    bytes data;

    [[nodiscard]] static result<sasl_response> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const sasl_response&, const sasl_response&) = default;
};

}  // namespace sallyport::protocol::frontend
