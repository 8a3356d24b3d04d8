#include <nlohmann/json.hpp>

#include "proxy/admin/dto.h"
#include "proxy/admin/text.h"

/// Answers about the audit log.
namespace sallyport::proxy::admin {
namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& j) {
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

json record_of(const audit::parsed_line& line) {
    json one;
    one["seq"] = line.sequence;
    one["time"] = line.time;
    one["event"] = line.event;
    for (const auto& [key, value] : line.fields)
        if (!one.contains(key)) one[key] = value;
    return one;
}

}  // namespace

std::string story_json(const audit::story_subject& s, const audit::story& found) {
    json out;
    out["about"] = to_string(s);
    out["records"] = json::array();
    for (const auto& line : found.records)
        out["records"].push_back(record_of(line));
    out["cut"] = found.cut;
    return dump(out);
}

std::string verification_json(const verification::state& v) {
    json out;
    const auto& r = v.report;
    out["state"] = !r ? "unknown" : r->ok() ? "verified" : "broken";
    out["running"] = v.running;
    const auto at = iso_time(v.checked_at);
    out["checked_at"] = at.empty() ? json(nullptr) : json(at);
    out["records"] = r ? r->records : 0;
    out["checkpoints"] = r ? r->checkpoints : 0;
    out["signed_through"] = r ? r->signed_through : 0;
    out["head_seq"] = r ? r->head.sequence : 0;
    out["head"] = r ? r->head.hash : std::string();
    out["note"] = r ? r->note : std::string();
    out["damage"] = nullptr;
    if (r && !r->ok())
        out["damage"] = {{"what", audit::to_string(r->what)},
                         {"file", r->file},
                         {"line", r->line},
                         {"text", r->text}};
    return dump(out);
}

}  // namespace sallyport::proxy::admin
