#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/cursor.h"
#include "protocol/errors.h"
#include "protocol/frontend.h"

/// Messages that a server sends. We read them from upstreams and write them to clients.
/// Shape:  decode() takes the body (without tag and length); views point into it. encode() appends
///         the whole frame.
/// Errors: decode() consumes the body fully or fails with a body error of errc. An upstream is not
///         trusted more than a client.
/// Source: PostgreSQL docs, "Message Formats".
namespace sallyport::protocol::backend {

// authentication ---------------------------------------------------------------------------------

struct authentication_ok {
    friend bool operator==(authentication_ok, authentication_ok) = default;
};
struct authentication_cleartext {
    friend bool operator==(authentication_cleartext, authentication_cleartext) = default;
};
struct authentication_md5 {
    bytes salt;  ///< 4 bytes
    friend bool operator==(const authentication_md5&, const authentication_md5&) = default;
};
struct authentication_sasl {
    std::vector<std::string_view> mechanisms;  ///< in the order of preference; not empty
    friend bool operator==(const authentication_sasl&, const authentication_sasl&) = default;
};
struct authentication_sasl_continue {
    bytes data;
    friend bool operator==(const authentication_sasl_continue&,
                           const authentication_sasl_continue&) = default;
};
struct authentication_sasl_final {
    bytes data;
    friend bool operator==(const authentication_sasl_final&,
                           const authentication_sasl_final&) = default;
};
/// A method that we do not speak (Kerberos, GSS, SSPI, SCM): tell the user, close.
struct authentication_unsupported {
    std::uint32_t method = 0;
    friend bool operator==(authentication_unsupported, authentication_unsupported) = default;
};

/// `R`: what the server wants, or that it is content.
struct authentication {
    static constexpr char tag = 'R';
    using request_type =
        std::variant<authentication_ok, authentication_cleartext, authentication_md5,
                     authentication_sasl, authentication_sasl_continue, authentication_sasl_final,
                     authentication_unsupported>;
    request_type request;

    [[nodiscard]] static result<authentication> decode(bytes body);
    /// An authentication_unsupported cannot be sent: nothing is appended.
    void encode(std::string& out) const;
    friend bool operator==(const authentication&, const authentication&) = default;
};

// session ----------------------------------------------------------------------------------------

struct backend_key_data {
    static constexpr char tag = 'K';
    std::uint32_t process_id = 0;
    bytes key;  ///< secret; 4 bytes in 3.0, 4 to 256 in 3.2

    [[nodiscard]] static result<backend_key_data> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const backend_key_data&, const backend_key_data&) = default;
};

struct parameter_status {
    static constexpr char tag = 'S';
    std::string_view name;
    std::string_view value;

    [[nodiscard]] static result<parameter_status> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const parameter_status&, const parameter_status&) = default;
};

enum class transaction_status : char { idle = 'I', open = 'T', failed = 'E' };

struct ready_for_query {
    static constexpr char tag = 'Z';
    transaction_status status = transaction_status::idle;

    [[nodiscard]] static result<ready_for_query> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(ready_for_query, ready_for_query) = default;
};

/// Answers a newer minor version or unknown `_pq_.` options; sent once, before authentication.
struct negotiate_protocol_version {
    static constexpr char tag = 'v';
    std::uint32_t newest_version = 0x0003'0000;  ///< major and minor, as the server writes it
    std::vector<std::string_view> unrecognized;

    [[nodiscard]] static result<negotiate_protocol_version> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const negotiate_protocol_version&,
                           const negotiate_protocol_version&) = default;
};

struct notification_response {
    static constexpr char tag = 'A';
    std::uint32_t process_id = 0;
    std::string_view channel;
    std::string_view payload;

    [[nodiscard]] static result<notification_response> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const notification_response&, const notification_response&) = default;
};

// reports ----------------------------------------------------------------------------------------

struct report_field {
    char code = '\0';  ///< 'S', 'V', 'C', 'M', 'D', 'H', …
    std::string_view value;
    friend bool operator==(const report_field&, const report_field&) = default;
};

/// ErrorResponse and NoticeResponse: fields by code. None of them can be relied upon to be there
/// (poolers in between leave out `V` and others); unknown ones are kept.
template <char Tag>
struct report {
    static constexpr char tag = Tag;
    std::vector<report_field> fields;

    /// The first field with this code, empty if there is none.
    [[nodiscard]] std::string_view field(char code) const noexcept {
        for (const auto& f : fields)
            if (f.code == code) return f.value;
        return {};
    }
    /// `V` if sent (never translated), otherwise `S`.
    [[nodiscard]] std::string_view severity() const noexcept {
        const auto v = field('V');
        return v.empty() ? field('S') : v;
    }
    [[nodiscard]] std::string_view sqlstate() const noexcept { return field('C'); }
    [[nodiscard]] std::string_view message() const noexcept { return field('M'); }
    [[nodiscard]] std::string_view detail() const noexcept { return field('D'); }
    [[nodiscard]] std::string_view hint() const noexcept { return field('H'); }

    [[nodiscard]] static result<report> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const report&, const report&) = default;
};
using error_response = report<'E'>;
using notice_response = report<'N'>;

enum class severity : std::uint8_t { fatal, error, warning, notice, info };
[[nodiscard]] std::string_view to_string(severity s) noexcept;

/// A report of our own, in words. Empty detail and hint are left out.
struct report_text {
    severity level = severity::error;
    std::string_view sqlstate;  ///< from sqlstate.h
    std::string_view message;
    std::string_view detail;
    std::string_view hint;
};

/// Appends an ErrorResponse (fatal, error) or a NoticeResponse (the rest), with S, V, C, M, D, H.
/// Texts may come from anywhere: they go through sanitize_text. A SQLSTATE that is not five of
/// [0-9A-Z] becomes XX000.
void append_report(std::string& out, const report_text& text);

/// Makes one line that is safe on a terminal and in a log: blanks for tab and line ends; '?' for
/// other control characters, for bidirectional overrides and for what is not UTF-8; cut (with
/// "...") at a character border to `bytes_max`.
[[nodiscard]] std::string sanitize_text(std::string_view text, std::size_t bytes_max);

// results ----------------------------------------------------------------------------------------

struct column {
    std::string_view name;
    std::uint32_t table = 0;  ///< oid; 0: not a column of a table
    std::int16_t attribute = 0;
    std::uint32_t type = 25;  ///< oid; 25 is text
    std::int16_t type_size = -1;
    std::int32_t type_modifier = -1;
    std::uint16_t format = 0;  ///< 0 text, 1 binary
    friend bool operator==(const column&, const column&) = default;
};

struct row_description {
    static constexpr char tag = 'T';
    std::vector<column> columns;

    [[nodiscard]] static result<row_description> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const row_description&, const row_description&) = default;
};

struct data_row {
    static constexpr char tag = 'D';
    std::vector<std::optional<bytes>> values;  ///< nullopt: NULL

    [[nodiscard]] static result<data_row> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const data_row&, const data_row&) = default;
};

struct command_complete {
    static constexpr char tag = 'C';
    std::string_view command_tag;  ///< "SELECT 3", "INSERT 0 1", "COMMIT" …

    /// The number at the end of the command tag; nullopt where there is none.
    [[nodiscard]] std::optional<std::uint64_t> row_count() const noexcept;

    [[nodiscard]] static result<command_complete> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const command_complete&, const command_complete&) = default;
};

struct parameter_description {
    static constexpr char tag = 't';
    std::vector<std::uint32_t> types;  ///< oids

    [[nodiscard]] static result<parameter_description> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const parameter_description&, const parameter_description&) = default;
};

struct function_call_response {
    static constexpr char tag = 'V';
    std::optional<bytes> value;

    [[nodiscard]] static result<function_call_response> decode(bytes body) noexcept;
    void encode(std::string& out) const;
    friend bool operator==(const function_call_response&, const function_call_response&) = default;
};

/// CopyInResponse, CopyOutResponse, CopyBothResponse.
template <char Tag>
struct copy_response {
    static constexpr char tag = Tag;
    std::uint8_t format = 0;  ///< 0 text, 1 binary
    std::vector<std::uint16_t> column_formats;

    [[nodiscard]] static result<copy_response> decode(bytes body);
    void encode(std::string& out) const;
    friend bool operator==(const copy_response&, const copy_response&) = default;
};
using copy_in_response = copy_response<'G'>;
using copy_out_response = copy_response<'H'>;
using copy_both_response = copy_response<'W'>;

using copy_data = frontend::copy_data;
using copy_done = frontend::copy_done;

template <char Tag>
using empty_message = frontend::empty_message<Tag>;
using empty_query_response = empty_message<'I'>;
using parse_complete = empty_message<'1'>;
using bind_complete = empty_message<'2'>;
using close_complete = empty_message<'3'>;
using no_data = empty_message<'n'>;
using portal_suspended = empty_message<'s'>;

}  // namespace sallyport::protocol::backend
