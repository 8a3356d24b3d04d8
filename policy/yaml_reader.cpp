#include "policy/yaml_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <yaml-cpp/eventhandler.h>

namespace sallyport::policy {

namespace {

constexpr std::size_t faults_max = 200;

/// Escapes such as "\0" or "\x1b" in a quoted scalar would otherwise reach terminals and logs.
bool has_control(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char c) {
        return (static_cast<std::uint8_t>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
    });
}

/// Text of a file as it may stand in a message: short, on one line, without control characters.
std::string shown(std::string_view text) {
    std::string out(text.substr(0, 60));
    while (out.size() < text.size() && !out.empty() &&
           (static_cast<std::uint8_t>(text[out.size()]) & 0xc0U) == 0x80U)
        out.pop_back();
    for (auto& c : out)
        if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f) c = '?';
    return out.size() < text.size() ? out + "…" : out;
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

/// Bytes of the UTF-8 character at the front, 0 if there is none (overlong forms and surrogates
/// too).
std::size_t utf8_length(std::string_view s) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
    const auto c = byte(0);
    if (c < 0x80) return 1;
    const std::size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || s.size() < n) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((byte(i) & 0xc0U) != 0x80U) return 0;
    const auto second = byte(1);
    const bool overlong = (c == 0xe0 && second < 0xa0) || (c == 0xf0 && second < 0x90);
    const bool beyond = (c == 0xed && second > 0x9f) || (c == 0xf4 && second > 0x8f);
    return overlong || beyond ? 0 : n;
}

struct refused : std::runtime_error {
    refused(YAML::Mark at, const char* what) : std::runtime_error(what), mark(at) {}
    YAML::Mark mark;
};

/// Walks a document before it is built, so that nothing costly or clever is ever built.
class inspector : public YAML::EventHandler {
  public:
    explicit inspector(const yaml_limits& limits) : limits_(limits) {}
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& at, YAML::anchor_t anchor) override { node(at, "", anchor); }
    void OnAlias(const YAML::Mark& at, YAML::anchor_t) override {
        throw refused(at, "aliases (*name) are not accepted here; write the value out");
    }
    void OnScalar(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                  const std::string&) override {
        node(at, tag, anchor);
    }
    void OnSequenceStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        node(at, tag, anchor);
        deeper(at);
    }
    void OnSequenceEnd() override { --depth_; }
    void OnMapStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        node(at, tag, anchor);
        deeper(at);
    }
    void OnMapEnd() override { --depth_; }

  private:
    void node(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) {
        if (anchor != 0) throw refused(at, "anchors (&name) are not accepted here");
        if (!tag.empty() && tag != "?" && tag != "!")
            throw refused(at, "tags (!name) are not accepted here");
        if (++nodes_ > limits_.nodes_max) throw refused(at, "the file has too many values");
    }
    void deeper(const YAML::Mark& at) {
        if (++depth_ > limits_.depth_max) throw refused(at, "maps and lists are nested too deeply");
    }

    yaml_limits limits_;
    int depth_ = 0;
    std::size_t nodes_ = 0;
};

/// Brackets that are open at once, whatever they stand in. The scanner of yaml-cpp keeps a token
/// for each before the inspector sees the first, so the worst texts are refused before it starts.
bool has_bracket_tower(std::string_view text) noexcept {
    int open = 0;
    for (const char c : text) {
        if (c == '[' || c == '{') ++open;
        if ((c == ']' || c == '}') && open > 0) --open;
        if (open > 1000) return true;
    }
    return false;
}

}  // namespace

yaml_reader::yaml_reader(std::string file, std::string_view text, yaml_limits limits)
    : file_(std::move(file)) {
    if (!acceptable(text, limits)) return;
    try {
        const std::string copy(text);
        std::istringstream in(copy);
        YAML::Parser parser(in);
        inspector look(limits);
        if (!parser.HandleNextDocument(look)) {
            fail_at(YAML::Mark(), "the file is empty");
            return;
        }
        if (parser.HandleNextDocument(look)) {
            fail_at(YAML::Mark(), "the file has more than one document (a line ---)");
            return;
        }
        root_ = YAML::Load(copy);
        find_duplicates(root_);
    } catch (const refused& e) {
        fail_at(e.mark, e.what());
    } catch (const YAML::Exception& e) {
        fail_at(e.mark, "this is not YAML: " + e.msg);
    } catch (const std::exception& e) {
        fail_at(YAML::Mark(), std::string("the file cannot be read: ") + e.what());
    }
}

bool yaml_reader::acceptable(std::string_view text, const yaml_limits& limits) {
    YAML::Mark at;
    at.line = at.column = 0;
    if (text.size() > limits.bytes_max) {
        fail_at(at, "the file is longer than " + std::to_string(limits.bytes_max) + " bytes");
        return false;
    }
    for (auto rest = text; !rest.empty();) {
        const auto n = utf8_length(rest);
        const char c = rest.front();
        const bool control =
            static_cast<std::uint8_t>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
        if (n == 0 || control) {
            fail_at(at, n == 0   ? "this byte is not UTF-8"
                        : c == 0 ? "a NUL byte is not accepted here"
                                 : "a control character is not accepted here");
            return false;
        }
        rest.remove_prefix(n);
        ++at.column;
        if (c == '\n') {
            ++at.line;
            at.column = 0;
        }
    }
    if (has_bracket_tower(text)) {
        fail_at(YAML::Mark(), "maps and lists are nested too deeply");
        return false;
    }
    return true;
}

void yaml_reader::find_duplicates(const YAML::Node& node) {
    if (node.IsSequence()) {
        for (const auto& child : node)
            find_duplicates(child);
    } else if (node.IsMap()) {
        std::set<std::string> seen;
        for (const auto& entry : node) {
            if (!entry.first.IsScalar()) {
                fail(entry.first, "a key must be a word");
            } else if (!seen.insert(entry.first.Scalar()).second) {
                fail(entry.first, "the key '" + shown(entry.first.Scalar()) + "' is given twice");
            }
            find_duplicates(entry.second);
        }
    }
}

void yaml_reader::fail(const YAML::Node& at, std::string what, std::string code) {
    fail_at(at.IsDefined() ? at.Mark() : YAML::Mark::null_mark(), std::move(what), std::move(code));
}

void yaml_reader::fail_at(YAML::Mark at, std::string what, std::string code) {
    if (faults_.size() >= faults_max) return;
    if (faults_.size() + 1 == faults_max) what = "there are more faults; mend these first";
    faults_.push_back({file_, std::max(at.line, 0) + 1, std::max(at.column, 0) + 1, std::move(what),
                       std::move(code)});
}

bool yaml_reader::keys(const YAML::Node& map, std::string_view where,
                       std::initializer_list<std::string_view> known) {
    if (!map.IsDefined() || !map.IsMap()) {
        fail(map, std::string(where) + " must be a map of keys and values");
        return false;
    }
    const std::vector<std::string> words(known.begin(), known.end());
    for (const auto& entry : map) {
        if (!entry.first.IsScalar()) continue;  // find_duplicates has said so
        const auto& key = entry.first.Scalar();
        if (std::find(words.begin(), words.end(), key) != words.end()) continue;
        const auto hint = did_you_mean(key, words);
        fail(entry.first, "unknown key '" + shown(key) + "' in " + std::string(where) +
                              (hint.empty() ? "; known are " + joined(words) : hint));
    }
    return true;
}

YAML::Node yaml_reader::member(const YAML::Node& map, const char* key) {
    // A const Node is looked up without inserting; an undefined Node may only be asked IsDefined().
    if (!map.IsDefined() || !map.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
    for (const auto& entry : map)
        if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
    return YAML::Node(YAML::NodeType::Undefined);
}

std::vector<std::pair<YAML::Node, std::string>> yaml_reader::list(const YAML::Node& map,
                                                                  const char* key) {
    std::vector<std::pair<YAML::Node, std::string>> out;
    const auto node = member(map, key);
    if (!node.IsDefined()) return out;
    if (!node.IsScalar() && !node.IsSequence()) {
        fail(node, "'" + std::string(key) + "' must be a list of words");
        return out;
    }
    std::set<std::string> seen;
    const auto add = [&](const YAML::Node& n) {
        if (!n.IsScalar() || n.Scalar().empty()) {
            fail(n, "'" + std::string(key) + "' must be a list of words");
        } else if (has_control(n.Scalar())) {
            fail(n, "'" + shown(n.Scalar()) + "' has a control character");
        } else if (!seen.insert(n.Scalar()).second) {
            fail(n, "'" + shown(n.Scalar()) + "' is listed twice in '" + key + "'");
        } else {
            out.emplace_back(n, n.Scalar());
        }
    };
    if (node.IsScalar()) {
        add(node);
    } else {
        for (const auto& n : node)
            add(n);
    }
    return out;
}

std::vector<std::string> yaml_reader::texts(const YAML::Node& map, const char* key) {
    std::vector<std::string> out;
    for (auto& [node, text] : list(map, key))
        out.push_back(std::move(text));
    return out;
}

std::optional<std::string> yaml_reader::text(const YAML::Node& map, const char* key) {
    const auto node = member(map, key);
    if (!node.IsDefined()) return {};
    if (!node.IsScalar()) {
        fail(node, "'" + std::string(key) + "' must be a text");
        return {};
    }
    if (has_control(node.Scalar())) {
        fail(node, "'" + std::string(key) + "' has a control character");
        return {};
    }
    return node.Scalar();
}

std::optional<bool> yaml_reader::boolean(const YAML::Node& map, const char* key) {
    const auto node = member(map, key);
    if (!node.IsDefined()) return {};
    if (node.IsScalar() && node.Scalar() == "true") return true;
    if (node.IsScalar() && node.Scalar() == "false") return false;
    fail(node, "'" + std::string(key) + "' must be true or false");
    return {};
}

std::optional<std::int64_t> yaml_reader::integer(const YAML::Node& map, const char* key,
                                                 std::int64_t min, std::int64_t max) {
    const auto node = member(map, key);
    if (!node.IsDefined()) return {};
    std::int64_t v = 0;
    if (node.IsScalar()) {
        const auto& s = node.Scalar();
        const auto [end, err] = std::from_chars(s.data(), s.data() + s.size(), v);
        if (err == std::errc{} && end == s.data() + s.size() && v >= min && v <= max) return v;
    }
    fail(node, "'" + std::string(key) + "' must be a whole number from " + std::to_string(min) +
                   " to " + std::to_string(max));
    return {};
}

std::optional<milliseconds> yaml_reader::duration(const YAML::Node& map, const char* key) {
    const auto node = member(map, key);
    if (!node.IsDefined()) return {};
    if (node.IsScalar())
        if (auto d = parse_duration(node.Scalar())) return d;
    fail(node, "'" + std::string(key) + "' must be a duration such as 30s, 15m, 4h or 7d");
    return {};
}

std::optional<std::uint64_t> yaml_reader::bytes(const YAML::Node& map, const char* key) {
    const auto node = member(map, key);
    if (!node.IsDefined()) return {};
    if (node.IsScalar()) {
        const auto& s = node.Scalar();
        std::uint64_t v = 0;
        const auto [end, err] = std::from_chars(s.data(), s.data() + s.size(), v);
        const std::string_view suffix =
            s.empty() ? std::string_view()
                      : std::string_view(end, static_cast<std::size_t>(s.data() + s.size() - end));
        constexpr std::array<std::pair<std::string_view, unsigned>, 4> shifts{
            {{"", 0U}, {"KiB", 10U}, {"MiB", 20U}, {"GiB", 30U}}};
        for (const auto& [word, shift] : shifts)
            if (err == std::errc{} && suffix == word && v <= (std::uint64_t{1} << 40U) >> shift)
                return v << shift;
    }
    fail(node, "'" + std::string(key) + "' must be a number of bytes such as 64KiB, 4MiB or 1GiB");
    return {};
}

std::optional<std::string> yaml_reader::word(const YAML::Node& map, const char* key,
                                             std::initializer_list<std::string_view> words) {
    const auto node = member(map, key);
    if (!node.IsDefined()) return {};
    const std::vector<std::string> known(words.begin(), words.end());
    if (node.IsScalar() && std::find(known.begin(), known.end(), node.Scalar()) != known.end())
        return node.Scalar();
    const auto given = node.IsScalar() ? node.Scalar() : std::string();
    fail(node,
         "'" + std::string(key) + "' must be one of " + joined(known) +
             (given.empty() ? "" : ", not '" + shown(given) + "'" + did_you_mean(given, known)));
    return {};
}

}  // namespace sallyport::policy
