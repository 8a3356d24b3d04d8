#pragma once

#include <cstdint>
#include <string_view>

/// Functions whose arguments say more than values: SQL text, names of tables, files, settings.
namespace sallyport::policy::sql {

enum class function_role : std::uint8_t {
    none,
    sql_text,         ///< an argument is run as SQL in this session
    reads_relation,   ///< an argument names a table whose content is revealed
    writes_relation,  ///< an argument names a sequence or table that is changed
    names_relation,   ///< an argument is turned into a regclass; nothing is read yet
    harmless_name,    ///< an argument is a regclass, but only sizes, definitions or rights are told
    sets_config,      ///< set_config
    cursor_name,      ///< an argument is a cursor that is fetched
    server_file,      ///< reaches files of the server
    notifies,         ///< pg_notify
    replicates,       ///< reads the log stream
    maintains,        ///< server administration
    schedules,        ///< leaves a command for later; applications have functions of such names
    opaque,           ///< what is touched cannot be told from the text
};

struct function_entry {
    std::string_view name;
    function_role role = function_role::none;
    /// Bit i set: argument i (from 0) is the one of the role.
    std::uint8_t arguments = 0;
};

/// The entry of a function by its bare name, whatever its schema; null when it has no special role.
/// Schemas are ignored on purpose: extensions live anywhere, and a namesake is better held than
/// missed.
[[nodiscard]] const function_entry* find_function(std::string_view name) noexcept;

/// `x.name` may run, read or change what the text does not tell, if it is a call of that function.
[[nodiscard]] bool is_telling_attribute(std::string_view name) noexcept;
/// nextval, setval, currval: whatever they are given, only a sequence is read or changed.
[[nodiscard]] bool is_of_sequences(std::string_view name) noexcept;
/// The server's functions that show a row that they get whole.
[[nodiscard]] bool shows_whole_row(std::string_view name) noexcept;

}  // namespace sallyport::policy::sql
