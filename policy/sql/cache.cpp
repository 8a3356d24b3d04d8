#include "policy/sql/cache.h"

#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/sql/template.h"

namespace sallyport::policy::sql {
namespace {

enum class key_class : std::uint8_t { exact, template_text };

/// What a key compares: the class and the setting keep apart what must not meet.
struct key_view {
    std::uint8_t tag = 0;
    std::string_view text;
    friend bool operator==(const key_view&, const key_view&) = default;
};

key_view key_of(key_class c, bool scs, std::string_view text) noexcept {
    return {static_cast<std::uint8_t>((c == key_class::exact ? 0 : 2) | (scs ? 1 : 0)), text};
}

/// A seeded multiply-and-fold hash: quick on short keys, not guessable without the seed.
struct key_hash {
    std::uint64_t seed = 0;

    static std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
        __extension__ using wide = unsigned __int128;
        const wide product = static_cast<wide>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }
    static std::uint64_t load(const char* p, std::size_t n) noexcept {
        std::uint64_t out = 0;
        std::memcpy(&out, p, n);
        return out;
    }
    std::size_t operator()(const key_view& k) const noexcept {
        const char* p = k.text.data();
        std::size_t n = k.text.size();
        std::uint64_t h = seed ^ fold(n + k.tag + 1, 0x9e3779b97f4a7c15u);
        for (; n >= 16; p += 16, n -= 16)
            h = fold(load(p, 8) ^ 0xa0761d6478bd642fu ^ seed, load(p + 8, 8) ^ h);
        const std::uint64_t low = n >= 8 ? load(p, 8) : load(p, n);
        const std::uint64_t high = n >= 8 ? load(p + 8, n - 8) : 0;
        return fold(low ^ 0xe7037ed1a0b428dbu ^ seed, high ^ h ^ 0x8ebc6af09c88c6e3u);
    }
};

template <class T>
std::size_t heap_bytes(const std::vector<T>& v) noexcept {
    return v.capacity() * sizeof(T);
}
std::size_t heap_bytes(const std::string& s) noexcept {
    return s.capacity() > 15 ? s.capacity() + 1 : 0;
}

std::size_t memory_bytes(const statement_facts& s) noexcept {
    std::size_t n = heap_bytes(s.command) + heap_bytes(s.kinds) + heap_bytes(s.relations) +
                    heap_bytes(s.functions) + heap_bytes(s.settings) + heap_bytes(s.names) +
                    heap_bytes(s.opaque_reasons) + heap_bytes(s.operators) + heap_bytes(s.types) +
                    heap_bytes(s.attributes) + heap_bytes(s.mentions) +
                    heap_bytes(s.opaque_without_catalog) + heap_bytes(s.prepared_transaction) +
                    heap_bytes(s.new_names) + heap_bytes(s.when_called) + heap_bytes(s.taken_apart);
    for (const auto& r : s.relations) {
        n +=
            heap_bytes(r.schema) + heap_bytes(r.name) + heap_bytes(r.place) + heap_bytes(r.columns);
        for (const auto& c : r.columns)
            n += heap_bytes(c);
    }
    for (const auto* uses : {&s.functions, &s.operators, &s.types, &s.mentions})
        for (const auto& f : *uses)
            n += heap_bytes(f.schema) + heap_bytes(f.name);
    for (const auto& a : s.attributes)
        n += heap_bytes(a.name) + heap_bytes(a.relation) + heap_bytes(a.schema);
    for (const auto& x : s.settings)
        n += heap_bytes(x.name) + heap_bytes(x.value);
    for (const auto& r : s.opaque_reasons)
        n += heap_bytes(r);
    for (const auto& x : s.names)
        n += heap_bytes(x.name) + (x.inner ? sql::memory_bytes(*x.inner) : 0);
    return n;
}

}  // namespace

std::size_t memory_bytes(const facts& f) noexcept {
    std::size_t n = sizeof(facts) + heap_bytes(f.statements) + heap_bytes(f.shape) +
                    heap_bytes(f.redacted) + heap_bytes(f.parameter_types);
    for (const auto& s : f.statements)
        n += memory_bytes(s);
    return n;
}

struct facts_cache::impl {
    struct slot {
        std::string text;
        std::uint8_t tag = 0;
        bool used = false;  // hit since the hand last passed
        facts_ptr value;    // null: this template is served by exact text only
        std::size_t cost = 0;
    };
    using index = std::unordered_map<key_view, std::size_t, key_hash>;

    explicit impl(facts_cache_options o) : options(o), map(64, key_hash{o.seed ^ 0x5bd1e995u}) {}

    slot* find(const key_view& k) {
        const auto at = map.find(k);
        return at == map.end() ? nullptr : slots[at->second].get();
    }
    void put(const key_view& k, facts_ptr value);
    void evict_one();

    facts_cache_options options;
    std::vector<std::unique_ptr<slot>> slots;  // stable: the map's keys view their texts
    index map;
    std::size_t hand = 0;
    std::size_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::string scratch;
};

void facts_cache::impl::put(const key_view& k, facts_ptr value) {
    constexpr std::size_t overhead = sizeof(slot) + 96;  // map node and pointers
    const std::size_t cost = overhead + k.text.size() + (value ? memory_bytes(*value) : 0);
    if (cost > options.bytes_max) return;
    if (slot* known = find(k)) {
        bytes += cost - known->cost;
        known->cost = cost;
        known->value = std::move(value);
    } else {
        auto s = std::make_unique<slot>();
        s->text = k.text;
        s->tag = k.tag;
        s->value = std::move(value);
        s->cost = cost;
        map.emplace(key_view{k.tag, s->text}, slots.size());
        slots.push_back(std::move(s));
        bytes += cost;
    }
    while (bytes > options.bytes_max && !slots.empty())
        evict_one();
}

void facts_cache::impl::evict_one() {
    for (;;) {
        if (hand >= slots.size()) hand = 0;
        slot& s = *slots[hand];
        if (!s.used) break;
        s.used = false;
        ++hand;
    }
    slot& gone = *slots[hand];
    bytes -= gone.cost;
    map.erase(key_view{gone.tag, gone.text});
    if (hand + 1 != slots.size()) {
        std::swap(slots[hand], slots.back());
        const slot& moved = *slots[hand];
        map.find(key_view{moved.tag, moved.text})->second = hand;
    }
    slots.pop_back();
}

facts_cache::facts_cache(facts_cache_options options) : impl_(std::make_unique<impl>(options)) {}
facts_cache::~facts_cache() = default;
facts_cache::facts_cache(facts_cache&&) noexcept = default;
facts_cache& facts_cache::operator=(facts_cache&&) noexcept = default;

facts_ptr facts_cache::lookup(std::string_view sql, bool scs) {
    impl& c = *impl_;
    if (sql.size() <= c.options.text_bytes_max) {
        const bool templated = make_template(sql, c.scratch);
        impl::slot* s = nullptr;
        if (templated) s = c.find(key_of(key_class::template_text, scs, c.scratch));
        if (s == nullptr || s->value == nullptr) {
            if (s != nullptr) s->used = true;
            s = c.find(key_of(key_class::exact, scs, sql));
        }
        if (s != nullptr) {
            s->used = true;
            ++c.hits;
            return s->value;
        }
    }
    ++c.misses;
    return nullptr;
}

void facts_cache::insert(std::string_view sql, bool scs, facts_ptr f) {
    impl& c = *impl_;
    if (f == nullptr || sql.size() > c.options.text_bytes_max) return;
    if (!make_template(sql, c.scratch)) {
        c.put(key_of(key_class::exact, scs, sql), std::move(f));
        return;
    }
    const std::string text = c.scratch;
    const key_view key = key_of(key_class::template_text, scs, text);
    const impl::slot* known = c.find(key);
    const bool exact_only = f->literal_sensitive || (known != nullptr && known->value == nullptr);
    if (!exact_only) {
        c.put(key, std::move(f));
        return;
    }
    c.put(key, nullptr);
    c.put(key_of(key_class::exact, scs, sql), std::move(f));
}

void facts_cache::clear() noexcept {
    impl_->map.clear();
    impl_->slots.clear();
    impl_->hand = 0;
    impl_->bytes = 0;
}

std::size_t facts_cache::entries() const noexcept {
    return impl_->slots.size();
}
std::size_t facts_cache::bytes() const noexcept {
    return impl_->bytes;
}
std::uint64_t facts_cache::hits() const noexcept {
    return impl_->hits;
}
std::uint64_t facts_cache::misses() const noexcept {
    return impl_->misses;
}

}  // namespace sallyport::policy::sql
