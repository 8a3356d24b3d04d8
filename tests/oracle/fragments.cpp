#include "tests/oracle/fragments.h"

#include <cstddef>
#include <vector>

namespace sallyport::tests::oracle {

namespace {

constexpr char opens = '\x01';   // and the letter of its kind
constexpr char closes = '\x02';  // of the innermost part
constexpr int attempts_max = 400;

std::string simplest(char kind) {
    switch (static_cast<part>(kind)) {
        case part::value:
            return "1";
        case part::condition:
            return "true";
        case part::query:
            return "select 1 as id, 2 as k, 3 as x, 4 as secret";
        case part::column:
            return "select 1";
        case part::item:
            return "(select 1 as id, 2 as k, 3 as x, 4 as secret)";
        case part::optional:
            break;
    }
    return "";
}

struct region {
    std::size_t begin = 0;
    std::size_t end = 0;  // behind its closing mark
    char kind = 0;
};

std::vector<region> regions_of(std::string_view text) {
    std::vector<region> out;
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == opens) {
            open.push_back(out.size());
            out.push_back({i, 0, text[i + 1]});
        } else if (text[i] == closes) {
            out[open.back()].end = i + 1;
            open.pop_back();
        }
    }
    return out;
}

}  // namespace

std::string mark(part p, std::string_view text) {
    std::string out{opens, static_cast<char>(p)};
    out += text;
    out += closes;
    return out;
}

std::string plain(std::string_view marked) {
    std::string out;
    for (std::size_t i = 0; i < marked.size(); ++i) {
        if (marked[i] == opens)
            ++i;
        else if (marked[i] != closes)
            out += marked[i];
    }
    return out;
}

std::string smaller(std::string marked,
                    const std::function<bool(const std::string& sql)>& still_fails) {
    int attempts = 0;
    bool again = true;
    while (again && attempts < attempts_max) {
        again = false;
        const auto all = regions_of(marked);
        for (const auto& r : all) {
            std::vector<std::string> instead{simplest(r.kind)};
            for (const auto& inner : all)
                if (inner.begin > r.begin && inner.end < r.end && inner.kind == r.kind)
                    instead.push_back(marked.substr(inner.begin, inner.end - inner.begin));
            for (const auto& text : instead) {
                auto candidate = marked;
                candidate.replace(r.begin, r.end - r.begin, text);
                if (plain(candidate).size() >= plain(marked).size()) continue;
                if (++attempts > attempts_max) return marked;
                if (!still_fails(plain(candidate))) continue;
                marked = std::move(candidate);
                again = true;
                break;
            }
            if (again) break;
        }
    }
    return marked;
}

}  // namespace sallyport::tests::oracle
