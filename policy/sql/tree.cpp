#include "policy/sql/tree.h"

#include <cstdlib>
#include <unordered_map>

#include <pg_query.h>

namespace sallyport::policy::sql {

/// Memory of one tree: handed out in a row, given back all at once.
class tree::arena {
  public:
    arena() : allocator_{&arena::allocate, &arena::release, this} {}
    ~arena() {
        for (void* block : blocks_)
            std::free(block);
    }
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;
    ProtobufCAllocator* allocator() noexcept { return &allocator_; }

  private:
    static constexpr std::size_t alignment = alignof(std::max_align_t);
    static constexpr std::size_t block_bytes_min = 16u << 10;
    static constexpr std::size_t block_bytes_max = 1u << 20;

    static void* allocate(void* self, std::size_t n) {
        return static_cast<arena*>(self)->take((n + alignment - 1) / alignment * alignment);
    }
    static void release(void* /*self*/, void* /*memory*/) {}

    void* take(std::size_t n) {
        if (n > left_) {
            const std::size_t size = std::max(n, next_block_);
            void* block = std::malloc(size);
            if (block == nullptr) return nullptr;
            blocks_.push_back(block);
            free_ = static_cast<char*>(block);
            left_ = size;
            next_block_ = std::min(next_block_ * 2, block_bytes_max);
        }
        void* out = free_;
        free_ += n;
        left_ -= n;
        return out;
    }

    ProtobufCAllocator allocator_;
    std::vector<void*> blocks_;
    char* free_ = nullptr;
    std::size_t left_ = 0;
    std::size_t next_block_ = block_bytes_min;
};

namespace {

/// Messages of the parser quote the text, which may hold a secret: only the words stay.
std::string without_quotations(std::string_view message) {
    if (const auto at = message.find(" at or near \""); at != std::string_view::npos)
        return std::string{message.substr(0, at)};
    std::string out;
    bool quoted = false;
    for (const char c : message) {
        if (c == '"') {
            quoted = !quoted;
            out += quoted ? "\"…" : "\"";
        } else if (!quoted) {
            out += c;
        }
    }
    return out;
}

}  // namespace

tree::tree(std::string_view sql) {
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(std::string{sql}.c_str());
    if (parsed.error != nullptr) {
        error_ = without_quotations(parsed.error->message);
        if (parsed.error->cursorpos > 0)
            error_ += " at character " + std::to_string(parsed.error->cursorpos);
    } else {
        arena_ = std::make_unique<arena>();
        result_ = pg_query__parse_result__unpack(
            arena_->allocator(), parsed.parse_tree.len,
            reinterpret_cast<const std::uint8_t*>(parsed.parse_tree.data));
        if (result_ == nullptr) error_ = "the parse tree cannot be read back";
    }
    pg_query_free_protobuf_parse_result(parsed);
}

tree::~tree() = default;

const ProtobufCMessage* inside(const PgQuery__Node& n) noexcept {
    if (n.node_case == PG_QUERY__NODE__NODE__NOT_SET) return nullptr;
    // Every case of the union is a pointer to a message.
    return reinterpret_cast<const ProtobufCMessage*>(n.select_stmt);
}

node_case case_of(const ProtobufCMessage& m) noexcept {
    static const auto cases = [] {
        std::unordered_map<const ProtobufCMessageDescriptor*, node_case> out;
        for (unsigned i = 0; i < pg_query__node__descriptor.n_fields; ++i) {
            const auto& field = pg_query__node__descriptor.fields[i];
            out.emplace(static_cast<const ProtobufCMessageDescriptor*>(field.descriptor),
                        static_cast<node_case>(field.id));
        }
        return out;
    }();
    const auto at = cases.find(m.descriptor);
    return at == cases.end() ? PG_QUERY__NODE__NODE__NOT_SET : at->second;
}

std::string_view case_name(node_case c) noexcept {
    const auto* const field = protobuf_c_message_descriptor_get_field(&pg_query__node__descriptor,
                                                                      static_cast<unsigned>(c));
    return field == nullptr ? "nothing" : field->name;
}

std::string_view string_of(const PgQuery__Node* n) noexcept {
    if (n == nullptr || n->node_case != PG_QUERY__NODE__NODE_STRING) return {};
    return n->string->sval;
}

std::vector<std::string_view> strings_of(std::size_t n, PgQuery__Node* const* list) {
    std::vector<std::string_view> out;
    out.reserve(n);
    for (std::size_t i = 0; i < n; ++i)
        out.push_back(string_of(list[i]));
    return out;
}

}  // namespace sallyport::policy::sql
