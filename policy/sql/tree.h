#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <pg_query/pg_query.pb-c.h>

/// The parse tree of libpg_query as protobuf-c messages, and the generic way through it.
namespace sallyport::policy::sql {

/// A parse tree that owns its memory, or the parser's message.
class tree {
  public:
    /// Parses `sql`, which must have no NUL and have passed the complexity scan.
    /// Errors: result() is null and error() has the parser's words, quotations of the text cut out.
    explicit tree(std::string_view sql);
    ~tree();
    tree(const tree&) = delete;
    tree& operator=(const tree&) = delete;

    [[nodiscard]] const PgQuery__ParseResult* result() const noexcept { return result_; }
    [[nodiscard]] PgQuery__ParseResult* editable() noexcept { return result_; }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

  private:
    class arena;
    std::unique_ptr<arena> arena_;
    PgQuery__ParseResult* result_ = nullptr;
    std::string error_;
};

using node_case = PgQuery__Node__NodeCase;

/// The message inside a Node, or null when nothing is set.
[[nodiscard]] const ProtobufCMessage* inside(const PgQuery__Node& n) noexcept;
/// Which case of Node has this message type; PG_QUERY__NODE__NODE__NOT_SET for a type outside Node.
[[nodiscard]] node_case case_of(const ProtobufCMessage& m) noexcept;
/// "select_stmt": the field name of a Node case.
[[nodiscard]] std::string_view case_name(node_case c) noexcept;

/// Calls `f(const ProtobufCMessage&)` for every message that is a direct member of `m`, in field
/// order; a Node counts as itself (see inside()). Members whose offset is in `except` are left out.
template <class F>
void for_each_member(const ProtobufCMessage& m, std::initializer_list<std::size_t> except, F&& f) {
    const auto* const base = reinterpret_cast<const char*>(&m);
    for (unsigned i = 0; i < m.descriptor->n_fields; ++i) {
        const ProtobufCFieldDescriptor& field = m.descriptor->fields[i];
        if (field.type != PROTOBUF_C_TYPE_MESSAGE) continue;
        bool skip = false;
        for (const std::size_t offset : except)
            skip = skip || offset == field.offset;
        if (skip) continue;
        if (field.label == PROTOBUF_C_LABEL_REPEATED) {
            const auto n = *reinterpret_cast<const std::size_t*>(base + field.quantifier_offset);
            auto* const* const list =
                *reinterpret_cast<ProtobufCMessage* const* const*>(base + field.offset);
            for (std::size_t k = 0; k < n; ++k)
                f(*list[k]);
            continue;
        }
        if ((field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
            *reinterpret_cast<const std::uint32_t*>(base + field.quantifier_offset) != field.id)
            continue;
        const auto* const one =
            *reinterpret_cast<const ProtobufCMessage* const*>(base + field.offset);
        if (one != nullptr) f(*one);
    }
}

/// The bare text of a String node; "" for anything else.
[[nodiscard]] std::string_view string_of(const PgQuery__Node* n) noexcept;
/// The strings of a list of String nodes (a qualified name); other nodes give "".
[[nodiscard]] std::vector<std::string_view> strings_of(std::size_t n, PgQuery__Node* const* list);

}  // namespace sallyport::policy::sql
