#include "policy/sql/functions_table.h"

#include <algorithm>
#include <array>

namespace sallyport::policy::sql {
namespace {

using enum function_role;

// Sorted by name. To add one: put it in its place, say which argument.
constexpr std::array table{
    function_entry{"brin_desummarize_range", writes_relation, 1},
    function_entry{"brin_summarize_new_values", writes_relation, 1},
    function_entry{"brin_summarize_range", writes_relation, 1},
    function_entry{"bt_index_check", reads_relation, 1},
    function_entry{"bt_index_parent_check", reads_relation, 1},
    function_entry{"bt_metap", reads_relation, 1},
    function_entry{"bt_multi_page_stats", reads_relation, 1},
    function_entry{"bt_page_items", reads_relation, 1},
    function_entry{"bt_page_stats", reads_relation, 1},
    function_entry{"col_description", harmless_name, 1},
    function_entry{"connectby", reads_relation, 1},
    function_entry{"crosstab", sql_text, 3},
    function_entry{"crosstab2", sql_text, 1},
    function_entry{"crosstab3", sql_text, 1},
    function_entry{"crosstab4", sql_text, 1},
    function_entry{"currval", reads_relation, 1},
    function_entry{"cursor_to_xml", cursor_name, 1},
    function_entry{"cursor_to_xmlschema", cursor_name, 1},
    function_entry{"database_to_xml", opaque, 0},
    function_entry{"database_to_xml_and_xmlschema", opaque, 0},
    function_entry{"database_to_xmlschema", opaque, 0},
    function_entry{"dblink", opaque, 0},
    function_entry{"dblink_build_sql_delete", reads_relation, 1},
    function_entry{"dblink_build_sql_insert", reads_relation, 1},
    function_entry{"dblink_build_sql_update", reads_relation, 1},
    function_entry{"dblink_connect", opaque, 0},
    function_entry{"dblink_connect_u", opaque, 0},
    function_entry{"dblink_exec", opaque, 0},
    function_entry{"dblink_fetch", opaque, 0},
    function_entry{"dblink_get_result", opaque, 0},
    function_entry{"dblink_open", opaque, 0},
    function_entry{"dblink_send_query", opaque, 0},
    function_entry{"format_type", harmless_name, 1},
    function_entry{"get_raw_page", reads_relation, 1},
    function_entry{"gin_clean_pending_list", writes_relation, 1},
    function_entry{"has_any_column_privilege", harmless_name, 3},
    function_entry{"has_column_privilege", harmless_name, 3},
    function_entry{"has_sequence_privilege", harmless_name, 3},
    function_entry{"has_table_privilege", harmless_name, 3},
    function_entry{"heap_force_freeze", writes_relation, 1},
    function_entry{"heap_force_kill", writes_relation, 1},
    function_entry{"heap_page_item_attrs", opaque, 0},
    function_entry{"lo_export", server_file, 0},
    function_entry{"lo_import", server_file, 0},
    function_entry{"nextval", writes_relation, 1},
    function_entry{"obj_description", harmless_name, 1},
    function_entry{"pg_background_launch", sql_text, 1},
    function_entry{"pg_create_logical_replication_slot", replicates, 0},
    function_entry{"pg_dirtyread", reads_relation, 1},
    function_entry{"pg_execute_sql", opaque, 0},
    function_entry{"pg_file_read", server_file, 0},
    function_entry{"pg_file_rename", server_file, 0},
    function_entry{"pg_file_sync", server_file, 0},
    function_entry{"pg_file_unlink", server_file, 0},
    function_entry{"pg_file_write", server_file, 0},
    function_entry{"pg_get_constraintdef", harmless_name, 1},
    function_entry{"pg_get_indexdef", harmless_name, 1},
    function_entry{"pg_get_partkeydef", harmless_name, 1},
    function_entry{"pg_get_serial_sequence", harmless_name, 1},
    function_entry{"pg_get_viewdef", harmless_name, 1},
    function_entry{"pg_get_wal_block_info", opaque, 0},
    function_entry{"pg_get_wal_record_info", opaque, 0},
    function_entry{"pg_get_wal_records_info", opaque, 0},
    function_entry{"pg_get_wal_records_info_till_end_of_wal", opaque, 0},
    function_entry{"pg_indexes_size", harmless_name, 1},
    function_entry{"pg_logdir_ls", server_file, 0},
    function_entry{"pg_logical_slot_get_binary_changes", replicates, 0},
    function_entry{"pg_logical_slot_get_changes", replicates, 0},
    function_entry{"pg_logical_slot_peek_binary_changes", replicates, 0},
    function_entry{"pg_logical_slot_peek_changes", replicates, 0},
    function_entry{"pg_ls_archive_statusdir", server_file, 0},
    function_entry{"pg_ls_dir", server_file, 0},
    function_entry{"pg_ls_logdir", server_file, 0},
    function_entry{"pg_ls_logicalmapdir", server_file, 0},
    function_entry{"pg_ls_logicalsnapdir", server_file, 0},
    function_entry{"pg_ls_replslotdir", server_file, 0},
    function_entry{"pg_ls_tmpdir", server_file, 0},
    function_entry{"pg_ls_waldir", server_file, 0},
    function_entry{"pg_notify", notifies, 0},
    function_entry{"pg_partition_ancestors", harmless_name, 1},
    function_entry{"pg_partition_root", harmless_name, 1},
    function_entry{"pg_partition_tree", harmless_name, 1},
    function_entry{"pg_prewarm", harmless_name, 1},
    function_entry{"pg_read_binary_file", server_file, 0},
    function_entry{"pg_read_file", server_file, 0},
    function_entry{"pg_read_file_old", server_file, 0},
    function_entry{"pg_relation_filenode", harmless_name, 1},
    function_entry{"pg_relation_filepath", harmless_name, 1},
    function_entry{"pg_relation_is_publishable", harmless_name, 1},
    function_entry{"pg_relation_size", harmless_name, 1},
    function_entry{"pg_reload_conf", maintains, 0},
    function_entry{"pg_rotate_logfile", maintains, 0},
    function_entry{"pg_sequence_last_value", reads_relation, 1},
    function_entry{"pg_stat_file", server_file, 0},
    function_entry{"pg_stat_get_activity", opaque, 0},
    function_entry{"pg_stat_get_backend_activity", opaque, 0},
    function_entry{"pg_switch_wal", maintains, 0},
    function_entry{"pg_table_is_visible", harmless_name, 1},
    function_entry{"pg_table_size", harmless_name, 1},
    function_entry{"pg_total_relation_size", harmless_name, 1},
    function_entry{"pg_truncate_visibility_map", writes_relation, 1},
    function_entry{"pgrowlocks", reads_relation, 1},
    function_entry{"pgstatindex", reads_relation, 1},
    function_entry{"pgstattuple", reads_relation, 1},
    function_entry{"pgstattuple_approx", reads_relation, 1},
    function_entry{"query_to_xml", sql_text, 1},
    function_entry{"query_to_xml_and_xmlschema", sql_text, 1},
    function_entry{"query_to_xmlschema", sql_text, 1},
    function_entry{"regclass", names_relation, 1},
    function_entry{"regclassin", names_relation, 1},
    function_entry{"run_command_on_all_nodes", opaque, 0},
    function_entry{"run_command_on_shards", opaque, 0},
    function_entry{"run_command_on_workers", opaque, 0},
    function_entry{"schedule", schedules, 0},
    function_entry{"schedule_in_database", schedules, 0},
    function_entry{"schema_to_xml", opaque, 0},
    function_entry{"schema_to_xml_and_xmlschema", opaque, 0},
    function_entry{"schema_to_xmlschema", opaque, 0},
    function_entry{"set_config", sets_config, 0},
    function_entry{"setval", writes_relation, 1},
    function_entry{"table_to_xml", reads_relation, 1},
    function_entry{"table_to_xml_and_xmlschema", reads_relation, 1},
    function_entry{"table_to_xmlschema", reads_relation, 1},
    function_entry{"to_regclass", names_relation, 1},
    function_entry{"ts_rewrite", sql_text, 2},
    function_entry{"ts_stat", sql_text, 1},
    function_entry{"verify_heapam", reads_relation, 1},
    function_entry{"xpath_table", opaque, 0},
};
static_assert(std::ranges::is_sorted(table, {}, &function_entry::name));

// Of one argument, which may be a row.
constexpr std::array row_readers{
    std::string_view{"any_value"},
    std::string_view{"array_agg"},
    std::string_view{"concat"},
    std::string_view{"hash_record"},
    std::string_view{"hstore"},
    std::string_view{"json_agg"},
    std::string_view{"json_agg_strict"},
    std::string_view{"json_build_array"},
    std::string_view{"jsonb_agg"},
    std::string_view{"jsonb_agg_strict"},
    std::string_view{"jsonb_build_array"},
    std::string_view{"quote_literal"},
    std::string_view{"quote_nullable"},
    std::string_view{"record_out"},
    std::string_view{"record_send"},
    std::string_view{"row_to_json"},
    std::string_view{"to_json"},
    std::string_view{"to_jsonb"},
};
static_assert(std::ranges::is_sorted(row_readers));

}  // namespace

const function_entry* find_function(std::string_view name) noexcept {
    const auto* const at = std::ranges::lower_bound(table, name, {}, &function_entry::name);
    return at != table.end() && at->name == name ? at : nullptr;
}

bool is_telling_attribute(std::string_view name) noexcept {
    const auto* e = find_function(name);
    if (e == nullptr) return false;
    switch (e->role) {
        case function_role::none:
        case function_role::harmless_name:
        case function_role::names_relation:
        case function_role::notifies:
        case function_role::maintains:
        case function_role::schedules:  // takes more than one argument
            return false;
        default:
            return true;
    }
}

bool is_of_sequences(std::string_view name) noexcept {
    return name == "currval" || name == "nextval" || name == "setval";
}

bool shows_whole_row(std::string_view name) noexcept {
    return std::ranges::binary_search(row_readers, name);
}

}  // namespace sallyport::policy::sql
