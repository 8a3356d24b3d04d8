#include "proxy/session/parameters.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string_view>

namespace sallyport::proxy::session {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// Settings that change neither identity nor meaning; every driver's defaults are among them.
constexpr std::array allowed = {"application_name",
                                "array_nulls",
                                "backend_flush_after",
                                "bytea_output",
                                "client_connection_check_interval",
                                "client_encoding",
                                "client_min_messages",
                                "commit_siblings",
                                "constraint_exclusion",
                                "cpu_index_tuple_cost",
                                "cpu_operator_cost",
                                "cpu_tuple_cost",
                                "cursor_tuple_fraction",
                                "datestyle",
                                "debug_parallel_query",
                                "debug_pretty_print",
                                "default_statistics_target",
                                "default_table_access_method",
                                "default_tablespace",
                                "default_text_search_config",
                                "default_toast_compression",
                                "default_transaction_deferrable",
                                "default_transaction_isolation",
                                "default_transaction_read_only",
                                "effective_cache_size",
                                "effective_io_concurrency",
                                "enable_async_append",
                                "enable_bitmapscan",
                                "enable_distinct_reordering",
                                "enable_gathermerge",
                                "enable_group_by_reordering",
                                "enable_hashagg",
                                "enable_hashjoin",
                                "enable_incremental_sort",
                                "enable_indexonlyscan",
                                "enable_indexscan",
                                "enable_material",
                                "enable_memoize",
                                "enable_mergejoin",
                                "enable_nestloop",
                                "enable_parallel_append",
                                "enable_parallel_hash",
                                "enable_partition_pruning",
                                "enable_partitionwise_aggregate",
                                "enable_partitionwise_join",
                                "enable_presorted_aggregate",
                                "enable_self_join_elimination",
                                "enable_seqscan",
                                "enable_sort",
                                "enable_tidscan",
                                "escape_string_warning",
                                "extra_float_digits",
                                "force_parallel_mode",
                                "from_collapse_limit",
                                "geqo",
                                "geqo_effort",
                                "geqo_generations",
                                "geqo_pool_size",
                                "geqo_seed",
                                "geqo_selection_bias",
                                "geqo_threshold",
                                "gin_fuzzy_search_limit",
                                "gin_pending_list_limit",
                                "hash_mem_multiplier",
                                "idle_in_transaction_session_timeout",
                                "idle_session_timeout",
                                "intervalstyle",
                                "jit",
                                "jit_above_cost",
                                "jit_expressions",
                                "jit_inline_above_cost",
                                "jit_optimize_above_cost",
                                "jit_tuple_deforming",
                                "join_collapse_limit",
                                "lc_monetary",
                                "lc_numeric",
                                "lc_time",
                                "lock_timeout",
                                "logical_decoding_work_mem",
                                "maintenance_io_concurrency",
                                "maintenance_work_mem",
                                "max_parallel_maintenance_workers",
                                "max_parallel_workers",
                                "max_parallel_workers_per_gather",
                                "min_parallel_index_scan_size",
                                "min_parallel_table_scan_size",
                                "options",
                                "parallel_leader_participation",
                                "parallel_setup_cost",
                                "parallel_tuple_cost",
                                "password_encryption",
                                "plan_cache_mode",
                                "quote_all_identifiers",
                                "random_page_cost",
                                "recursive_worktable_factor",
                                "search_path",
                                "seq_page_cost",
                                "statement_timeout",
                                "stats_fetch_consistency",
                                "synchronize_seqscans",
                                "synchronous_commit",
                                "tcp_keepalives_count",
                                "tcp_keepalives_idle",
                                "tcp_keepalives_interval",
                                "tcp_user_timeout",
                                "temp_buffers",
                                "temp_tablespaces",
                                "timezone",
                                "timezone_abbreviations",
                                "transaction_timeout",
                                "transform_null_equals",
                                "vacuum_cost_delay",
                                "vacuum_cost_limit",
                                "vacuum_cost_page_dirty",
                                "vacuum_cost_page_hit",
                                "vacuum_cost_page_miss",
                                "vacuum_freeze_min_age",
                                "vacuum_freeze_table_age",
                                "vacuum_multixact_freeze_min_age",
                                "vacuum_multixact_freeze_table_age",
                                "wal_skip_threshold",
                                "work_mem",
                                "xmlbinary",
                                "xmloption"};
static_assert(std::ranges::is_sorted(allowed, std::ranges::less{},
                                     [](const char* s) { return std::string_view(s); }));

bool is_allowed(std::string_view name) {
    return std::ranges::binary_search(allowed, name, std::ranges::less{},
                                      [](const char* s) { return std::string_view(s); });
}

// Encodings whose characters can end in a byte below 0x80, by every name that the server has for
// them. It compares names by their letters and digits alone.
bool encoding_is_safe(std::string_view value) {
    static constexpr std::array unsafe = {
        "big5",         "gb18030",    "gbk",        "johab",      "mskanji",   "shiftjis",
        "shiftjis2004", "sjis",       "uhc",        "win932",     "win936",    "win949",
        "win950",       "windows932", "windows936", "windows949", "windows950"};
    std::string folded;
    for (const char c : lower(value))
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) folded.push_back(c);
    return std::find(unsafe.begin(), unsafe.end(), folded) == unsafe.end();
}

void take(startup_settings& s, const protocol::parameter& p, bool from_options) {
    const auto name = lower(p.name);
    if (name == "sallyport.reason") {
        s.reason = p.value;
        return;
    }
    if (name == "sallyport.on_hold") {
        if (p.value != "wait" && p.value != "refuse") {
            s.fault = "sallyport.on_hold must be wait or refuse";
            return;
        }
        s.refuse_holds = p.value == "refuse";
        return;
    }
    if (name == "sallyport.hold") {
        const auto [end, error] =
            std::from_chars(p.value.data(), p.value.data() + p.value.size(), s.hold);
        if (error != std::errc{} || end != p.value.data() + p.value.size() || s.hold == 0)
            s.fault = "sallyport.hold must be the number of a hold";
        return;
    }
    if (name == "sallyport.target") {
        s.target = p.value;
        return;
    }
    // What it is without being asked; off would be read in another way than it is inspected.
    const bool usual = name == "standard_conforming_strings" && lower(p.value) == "on";
    if (!usual && !is_allowed(name)) {
        s.fault = "parameter \"" + name + "\" cannot be set when connecting through Sallyport";
        s.hint = "Connect without it and use SET, which the access rules can see.";
        return;
    }
    if (name == "client_encoding" && !encoding_is_safe(p.value)) {
        s.fault = "client_encoding " + lower(p.value) + " cannot be inspected";
        s.hint = "Use client_encoding UTF8.";
        return;
    }
    if (name == "application_name") s.application = p.value;
    if (name == "search_path") s.search_path = p.value;
    (from_options ? s.options : s.upstream).push_back(p);
}

// A boolean in any of the server's spellings, or the word `database` in just this one.
void take_replication(startup_settings& s, const std::string& value) {
    const auto folded = lower(value);
    const auto begins = [&](std::string_view word, std::size_t at_least) {
        return folded.size() >= at_least && word.starts_with(folded);
    };
    if (value == "database") {
        s.replication = replication_mode::logical;
    } else if (begins("true", 1) || begins("yes", 1) || begins("on", 2) || folded == "1") {
        s.replication = replication_mode::physical;
    } else if (!(begins("false", 1) || begins("no", 1) || begins("off", 2) || folded == "0")) {
        s.fault = "invalid value for parameter \"replication\"";
        s.hint = "It is a boolean, or the word database.";
    }
    if (s.replication != replication_mode::none)
        s.upstream.push_back(
            {"replication", s.replication == replication_mode::logical ? "database" : "true"});
}

}  // namespace

startup_settings sort_parameters(const protocol::startup_message& m) {
    startup_settings s;
    for (const auto& p : m.parameters) {
        const auto name = lower(p.name);
        if (name == "user" || name == "database" || name.starts_with("_pq_.")) continue;
        if (name == "replication") {
            take_replication(s, p.value);
            if (!s.fault.empty()) return s;
            continue;
        }
        if (name == "options") {
            const auto inside = protocol::parse_options_parameter(p.value);
            if (!inside.unsupported.empty()) {
                s.fault = "options has \"" + inside.unsupported.front() +
                          "\", which Sallyport does not pass on";
                s.hint = "Only -c name=value is understood.";
                return s;
            }
            for (const auto& o : inside.settings) {
                take(s, o, true);
                if (!s.fault.empty()) return s;
            }
            continue;
        }
        take(s, p, false);
        if (!s.fault.empty()) return s;
    }
    if (!s.target.empty() && s.replication != replication_mode::physical) {
        s.fault = "sallyport.target is for physical replication, which has no database";
        s.hint = "Name the target as the database.";
    }
    return s;
}

}  // namespace sallyport::proxy::session
