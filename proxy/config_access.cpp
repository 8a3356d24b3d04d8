#include <utility>

#include "proxy/auth/users.h"
#include "proxy/config_reader.h"

/// Who gets into the admin API: listen.admin's tokens, rate and jwt.
namespace sallyport::proxy {
namespace {

using policy::yaml_reader;
using std::chrono::hours;
using std::chrono::minutes;

constexpr std::int64_t rate_max = 1'000'000;
constexpr std::int64_t streams_max = 64;
constexpr std::size_t mapped_groups_max = 1000;

}  // namespace

void config_reader::read_access(const YAML::Node& admin) {
    auto& out = settings_.access;
    const auto tokens = yaml_reader::member(admin, "tokens");
    if (tokens.IsDefined() && reader_.keys(tokens, "tokens", {"max_life"}))
        time(tokens, "max_life", minutes(1), token_life_limit, out.token_life_max);
    const auto rate = yaml_reader::member(admin, "rate");
    if (rate.IsDefined() && reader_.keys(rate, "rate", {"person", "address", "event_streams"})) {
        count(rate, "person", 1, rate_max, out.requests_per_person);
        count(rate, "address", 1, rate_max, out.requests_per_address);
        count(rate, "event_streams", 1, streams_max, out.event_streams_per_person);
    }
    const auto jwt = yaml_reader::member(admin, "jwt");
    if (jwt.IsDefined()) read_jwt(jwt);
}

void config_reader::read_jwt(const YAML::Node& node) {
    const auto faults_before = reader_.faults().size();
    if (!reader_.keys(node, "jwt",
                      {"jwks_file", "issuer", "audience", "user_claim", "groups_claim", "groups",
                       "users", "max_age"}))
        return;
    auth::jwt_options out;
    out.jwks_file = required_path(node, "jwks_file", "the public keys that sign, a JWKS file");
    out.issuer = required_text(node, "issuer", "what the claim iss must be");
    out.audience = required_text(node, "audience", "what the claim aud must name: this proxy");
    if (auto claim = reader_.text(node, "user_claim")) out.user_claim = *claim;
    if (auto claim = reader_.text(node, "groups_claim")) out.groups_claim = *claim;
    if (out.user_claim.empty())
        reader_.fail(yaml_reader::member(node, "user_claim"), "'user_claim' is empty");
    read_jwt_groups(node, out);
    if (const auto who = reader_.word(node, "users", {"listed", "any"}))
        out.any_user = *who == "any";
    time(node, "max_age", minutes(1), hours(24), out.max_age);
    if (reader_.faults().size() != faults_before) return;
    if (secrets_ == secrets::read) {
        auto loaded = auth::jwk_set::load(out.jwks_file);
        if (!loaded.keys)
            return reader_.fail(
                yaml_reader::member(node, "jwks_file"),
                "the key set " + out.jwks_file + " cannot be used: " + loaded.error);
        out.keys = std::move(loaded.keys);
    }
    settings_.access.jwt = std::move(out);
}

void config_reader::read_jwt_groups(const YAML::Node& node, auth::jwt_options& out) {
    const auto map = yaml_reader::member(node, "groups");
    const bool claimed = !out.groups_claim.empty();
    if (!map.IsDefined()) {
        if (claimed)
            reader_.fail(yaml_reader::member(node, "groups_claim"),
                         "'groups_claim' needs groups: { value of the claim: group of ours }; "
                         "nothing is taken over unmapped");
        return;
    }
    if (!map.IsMap() || map.size() > mapped_groups_max) {
        reader_.fail(map, "'groups' must be a map of the claim's values to groups");
        return;
    }
    if (!claimed)
        reader_.fail(map, "'groups' has a meaning with groups_claim only: say which claim it is");
    for (const auto& entry : map) {
        if (!entry.second.IsScalar()) {
            reader_.fail(entry.second, "a value of the claim is mapped to one group");
            continue;
        }
        const auto& group = entry.second.Scalar();
        if (const auto fault = auth::group_name_fault(group); !fault.empty())
            reader_.fail(entry.second, fault);
        else
            out.groups.emplace(entry.first.Scalar(), group);
    }
}

}  // namespace sallyport::proxy
