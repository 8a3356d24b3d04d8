#include <algorithm>
#include <array>

#include "policy/sql/code.h"
#include "policy/sql/identifier.h"
#include "policy/sql/walker.h"

/// Objects that definitions name: relations, whole schemas, functions, operators, types; and the
/// bodies of functions.
namespace sallyport::policy::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

bool equals(const char* a, std::string_view b) noexcept {
    return a != nullptr && b == a;
}

std::string lower(std::string_view s) {
    std::string out{s};
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// How many of an object's name parts, counted from the end, are not the relation's name.
enum class object_form : std::uint8_t { other, relation, part_of_relation, schema };

object_form form_of(int type) noexcept {
    switch (type) {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
        case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
            return object_form::relation;
        case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN:
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        case PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER:
        case PG_QUERY__OBJECT_TYPE__OBJECT_RULE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_POLICY:
            return object_form::part_of_relation;
        case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
            return object_form::schema;
        default:
            return object_form::other;
    }
}

// Entries of CREATE AGGREGATE, OPERATOR, TYPE, TEXT SEARCH …, FOREIGN DATA WRAPPER whose value is
// the name of a function, of a type, of an operator.
constexpr std::array function_entries{
    std::string_view{"analyze"},     std::string_view{"canonical"},
    std::string_view{"combinefunc"}, std::string_view{"deserialfunc"},
    std::string_view{"end"},         std::string_view{"finalfunc"},
    std::string_view{"function"},    std::string_view{"gettoken"},
    std::string_view{"handler"},     std::string_view{"headline"},
    std::string_view{"init"},        std::string_view{"input"},
    std::string_view{"join"},        std::string_view{"lexize"},
    std::string_view{"lextypes"},    std::string_view{"mfinalfunc"},
    std::string_view{"minvfunc"},    std::string_view{"msfunc"},
    std::string_view{"output"},      std::string_view{"procedure"},
    std::string_view{"receive"},     std::string_view{"restrict"},
    std::string_view{"send"},        std::string_view{"serialfunc"},
    std::string_view{"sfunc"},       std::string_view{"sfunc1"},
    std::string_view{"sfunc2"},      std::string_view{"start"},
    std::string_view{"subscript"},   std::string_view{"subtype_diff"},
    std::string_view{"support"},     std::string_view{"typmod_in"},
    std::string_view{"typmod_out"},  std::string_view{"validator"},
};
static_assert(std::ranges::is_sorted(function_entries));
constexpr std::array type_entries{
    std::string_view{"basetype"}, std::string_view{"element"}, std::string_view{"leftarg"},
    std::string_view{"like"},     std::string_view{"mstype"},  std::string_view{"rightarg"},
    std::string_view{"stype"},    std::string_view{"stype1"},  std::string_view{"stype2"},
    std::string_view{"subtype"},
};
static_assert(std::ranges::is_sorted(type_entries));
constexpr std::array operator_entries{
    std::string_view{"commutator"},
    std::string_view{"negator"},
    std::string_view{"sortop"},
};

/// A name, however the grammar read it.
std::vector<std::string_view> name_in(const PgQuery__Node* n) {
    if (n == nullptr) return {};
    switch (n->node_case) {
        case PG_QUERY__NODE__NODE_STRING:
            return {string_of(n)};
        case PG_QUERY__NODE__NODE_LIST:
            return strings_of(n->list->n_items, n->list->items);
        case PG_QUERY__NODE__NODE_TYPE_NAME:
            return strings_of(n->type_name->n_names, n->type_name->names);
        default:
            return {};
    }
}

}  // namespace

/// Every relation of a schema; of any schema when it has no name.
void walker::whole_schema(std::string_view name, access how) {
    relation({cut_identifier(name), "*", how, {}, place_});
}

void walker::definition_entries(std::size_t n, PgQuery__Node* const* list) {
    for (std::size_t i = 0; i < n; ++i) {
        if (list[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) continue;
        const PgQuery__DefElem& e = *list[i]->def_elem;
        const std::string key = lower(e.defname == nullptr ? "" : e.defname);
        if (std::ranges::binary_search(function_entries, key)) {
            function(name_in(e.arg));
        } else if (std::ranges::binary_search(operator_entries, key)) {
            operator_name(name_in(e.arg));
        } else if (std::ranges::binary_search(type_entries, key)) {
            if (e.arg != nullptr && e.arg->node_case == PG_QUERY__NODE__NODE_TYPE_NAME)
                type_name(*e.arg->type_name);
            else
                type(name_in(e.arg));
        }
    }
}

/// A function, or an operator, and the types of its arguments, which may have empty places.
void walker::object_with_args(const PgQuery__ObjectWithArgs& o) {
    const auto name = strings_of(o.n_objname, o.objname);
    constexpr std::string_view characters = "+-*/<>=~!@#%^&|`?";
    if (!name.empty() && name.back().find_first_not_of(characters) == std::string_view::npos)
        operator_name(name);
    function(name);
    for (std::size_t i = 0; i < o.n_objargs; ++i)
        if (o.objargs[i]->node_case == PG_QUERY__NODE__NODE_TYPE_NAME)
            type_name(*o.objargs[i]->type_name);
}

void walker::visit_define(const ProtobufCMessage& m) {
    if (m.descriptor == &pg_query__define_stmt__descriptor) {
        const auto& s = as<PgQuery__DefineStmt>(m);
        if (s.n_defnames > 0)
            out_.new_names.push_back(cut_identifier(strings_of(s.n_defnames, s.defnames).back()));
        definition_entries(s.n_definition, s.definition);
        nodes(s.n_args, s.args);
    } else if (m.descriptor == &pg_query__create_range_stmt__descriptor) {
        const auto& s = as<PgQuery__CreateRangeStmt>(m);
        definition_entries(s.n_params, s.params);
    } else if (m.descriptor == &pg_query__alter_operator_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterOperatorStmt>(m);
        if (s.opername != nullptr) object_with_args(*s.opername);
        definition_entries(s.n_options, s.options);
    } else if (m.descriptor == &pg_query__alter_type_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterTypeStmt>(m);
        type(strings_of(s.n_type_name, s.type_name));
        definition_entries(s.n_options, s.options);
    } else if (m.descriptor == &pg_query__alter_enum_stmt__descriptor) {
        // A label that is added stands in no row; one that is renamed changes what rows say.
        const auto& s = as<PgQuery__AlterEnumStmt>(m);
        if (s.old_val != nullptr && *s.old_val != '\0')
            type(strings_of(s.n_type_name, s.type_name));
    } else if (m.descriptor == &pg_query__alter_domain_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterDomainStmt>(m);
        type(strings_of(s.n_type_name, s.type_name));
        node(s.def);
    } else if (m.descriptor == &pg_query__create_fdw_stmt__descriptor) {
        const auto& s = as<PgQuery__CreateFdwStmt>(m);
        definition_entries(s.n_func_options, s.func_options);
    } else if (m.descriptor == &pg_query__alter_fdw_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterFdwStmt>(m);
        definition_entries(s.n_func_options, s.func_options);
    } else if (m.descriptor == &pg_query__create_conversion_stmt__descriptor) {
        const auto& s = as<PgQuery__CreateConversionStmt>(m);
        function(strings_of(s.n_func_name, s.func_name));
    } else if (m.descriptor == &pg_query__create_plang_stmt__descriptor) {
        const auto& s = as<PgQuery__CreatePLangStmt>(m);
        function(strings_of(s.n_plhandler, s.plhandler));
        function(strings_of(s.n_plinline, s.plinline));
        function(strings_of(s.n_plvalidator, s.plvalidator));
    } else if (m.descriptor == &pg_query__create_am_stmt__descriptor) {
        const auto& s = as<PgQuery__CreateAmStmt>(m);
        function(strings_of(s.n_handler_name, s.handler_name));
    } else if (m.descriptor == &pg_query__create_event_trig_stmt__descriptor) {
        const auto& s = as<PgQuery__CreateEventTrigStmt>(m);
        function(strings_of(s.n_funcname, s.funcname));
    } else {
        opaque("a definition that the analysis does not know");
    }
}

/// A foreign table shows what another server holds, which may be this one.
void walker::visit_foreign_table(const ProtobufCMessage& m) {
    visit_definition(m);
    opaque("CREATE FOREIGN TABLE shows rows that its text does not name");
}

/// The rights of a role may be rights on any table.
void walker::visit_role(const ProtobufCMessage& m) {
    constexpr std::array powers{
        std::string_view{"addroleto"},   std::string_view{"adminmembers"},
        std::string_view{"bypassrls"},   std::string_view{"isreplication"},
        std::string_view{"rolemembers"}, std::string_view{"superuser"},
    };
    const bool creates = m.descriptor == &pg_query__create_role_stmt__descriptor;
    const bool alters = m.descriptor == &pg_query__alter_role_stmt__descriptor;
    bool powerful = !creates && !alters;
    for_each_member(m, {}, [&](const ProtobufCMessage& member) {
        if (member.descriptor != &pg_query__node__descriptor) return;
        const auto& n = as<PgQuery__Node>(member);
        if (n.node_case == PG_QUERY__NODE__NODE_DEF_ELEM && n.def_elem->defname != nullptr &&
            std::ranges::find(powers, std::string_view{n.def_elem->defname}) != powers.end())
            powerful = true;
    });
    place_ = command_;
    if (powerful) whole_schema("", access::write);
}

void walker::visit_function(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__CreateFunctionStmt>(m);
    for (std::size_t i = 0; i < s.n_parameters; ++i)
        node(s.parameters[i]);
    if (s.return_type != nullptr) type_name(*s.return_type);
    node(s.sql_body);
    if (s.n_funcname != 0)
        out_.new_names.push_back(cut_identifier(strings_of(s.n_funcname, s.funcname).back()));
    // What calls the old one calls the new one.
    if (const auto name = strings_of(s.n_funcname, s.funcname); s.replace != 0 && !name.empty())
        mention({name.size() > 1 ? cut_identifier(name[name.size() - 2]) : "",
                 cut_identifier(name.back())});
    definition_entries(s.n_options, s.options);
    std::string language;
    const PgQuery__Node* body = nullptr;
    for (std::size_t i = 0; i < s.n_options; ++i) {
        if (s.options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) continue;
        const PgQuery__DefElem& e = *s.options[i]->def_elem;
        if (equals(e.defname, "language")) language = lower(string_of(e.arg));
        if (equals(e.defname, "transform")) node(e.arg);
        if (equals(e.defname, "as") && e.arg != nullptr &&
            e.arg->node_case == PG_QUERY__NODE__NODE_LIST && e.arg->list->n_items == 1)
            body = e.arg->list->items[0];
    }
    if (body == nullptr) {
        if (s.sql_body == nullptr) out_.when_called.emplace_back("its body is not read");
        return;
    }
    const std::string_view text = string_of(body);
    if (language == "sql" && pending_.size() <= pending_texts_max) {
        pending_.push_back({std::string{text}, "the function", true});
    } else if (language == "plpgsql") {
        const auto f = analyse_code(text);
        code_names(f);
        out_.when_called = f.opaque_reasons;
        if (f.changes_settings) out_.when_called.emplace_back("it changes settings");
    } else {
        out_.when_called.push_back("its language " + language + " is not read");
    }
}

void walker::visit_alter_function(const ProtobufCMessage& m) {
    // Its SET clauses act when the function runs, not in this session.
    const auto& s = as<PgQuery__AlterFunctionStmt>(m);
    if (s.func != nullptr) object_with_args(*s.func);
    definition_entries(s.n_actions, s.actions);
    for (std::size_t i = 0; i < s.n_actions; ++i)
        if (s.actions[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            equals(s.actions[i]->def_elem->defname, "set"))
            out_.when_called.emplace_back("it has got other settings");
}

void walker::code_names(const code_facts& f) {
    for (const auto& m : f.mentions)
        mention(m);
    for (const auto& o : f.operators)
        operator_name({o.schema, o.name});
}

/// The names in a body of plpgsql.
void walker::code(const PgQuery__Node* body) {
    if (body == nullptr || body->node_case != PG_QUERY__NODE__NODE_STRING)
        return opaque("a body of code that is not one string");
    code_facts f = analyse_code(string_of(body));
    code_names(f);
    for (auto& why : f.opaque_reasons)
        opaque(std::move(why));
    if (f.changes_settings) setting_changed("", "", false, true);
}

/// Objects that are no relations: only functions, operators and types are told.
void walker::other_object(int type_of_object, const PgQuery__Node& object) {
    switch (object.node_case) {
        case PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS:
            return object_with_args(*object.object_with_args);
        case PG_QUERY__NODE__NODE_TYPE_NAME:
            return type_name(*object.type_name);
        case PG_QUERY__NODE__NODE_LIST: {
            bool named = false;
            for (std::size_t i = 0; i < object.list->n_items; ++i) {
                const PgQuery__Node* part = object.list->items[i];
                if (part->node_case != PG_QUERY__NODE__NODE_TYPE_NAME) continue;
                type_name(*part->type_name);
                named = true;
            }
            const bool is_type = type_of_object == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE ||
                                 type_of_object == PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN ||
                                 type_of_object == PG_QUERY__OBJECT_TYPE__OBJECT_DOMCONSTRAINT;
            if (is_type && !named) type(name_in(&object));
            return;
        }
        default:
            return;
    }
}

/// An object by the list of its name's parts: relations, and what belongs to one.
void walker::named_object(int type, const PgQuery__Node* object, const char* place) {
    const object_form form = form_of(type);
    if (object == nullptr) return;
    if (form == object_form::other) return other_object(type, *object);
    if (form == object_form::schema) {
        place_ = place;
        return whole_schema(string_of(object), access::write);
    }
    if (object->node_case != PG_QUERY__NODE__NODE_LIST) {
        if (form == object_form::relation) opaque("an object whose name has an unknown form");
        return;
    }
    auto parts = strings_of(object->list->n_items, object->list->items);
    if (form == object_form::part_of_relation && !parts.empty()) parts.pop_back();
    if (parts.empty()) return;
    relation({parts.size() > 1 ? cut_identifier(parts[parts.size() - 2]) : "",
              cut_identifier(parts.back()),
              access::write,
              {},
              place});
}

void walker::visit_drop(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__DropStmt>(m);
    for (std::size_t i = 0; i < s.n_objects; ++i)
        named_object(s.remove_type, s.objects[i], "drop");
    if (s.remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_POLICY) add_kind(kind::grant);
    if (s.remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION)
        opaque("DROP EXTENSION drops every object of the extension");
    // What goes along with a relation is found through the relation; what goes along with a type, a
    // function or a schema may be a column, a trigger or a view of any other.
    const object_form form = form_of(s.remove_type);
    if (s.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE &&
        (form == object_form::other || form == object_form::schema)) {
        const char* why = "DROP … CASCADE reaches objects that its text does not name";
        // A catalog knows whether there is anything to drop.
        const bool may_be_nothing = s.missing_ok != 0 && form == object_form::other;
        may_be_nothing ? opaque_without_catalog(why) : opaque(why);
    }
}

void walker::visit_object(const ProtobufCMessage& m) {
    struct form {
        int type = 0;
        const PgQuery__RangeVar* relation = nullptr;
        const PgQuery__Node* object = nullptr;
    } f;
    if (m.descriptor == &pg_query__comment_stmt__descriptor) {
        const auto& s = as<PgQuery__CommentStmt>(m);
        // A remark about a schema is none about its tables.
        if (s.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA) return;
        f = {s.objtype, nullptr, s.object};
    } else if (m.descriptor == &pg_query__sec_label_stmt__descriptor) {
        const auto& s = as<PgQuery__SecLabelStmt>(m);
        f = {s.objtype, nullptr, s.object};
    } else if (m.descriptor == &pg_query__alter_extension_contents_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterExtensionContentsStmt>(m);
        f = {s.objtype, nullptr, s.object};
    } else if (m.descriptor == &pg_query__alter_object_depends_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterObjectDependsStmt>(m);
        f = {s.object_type, s.relation, s.object};
    } else if (m.descriptor == &pg_query__alter_object_schema_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterObjectSchemaStmt>(m);
        f = {s.object_type, s.relation, s.object};
    } else if (m.descriptor == &pg_query__alter_owner_stmt__descriptor) {
        const auto& s = as<PgQuery__AlterOwnerStmt>(m);
        f = {s.object_type, s.relation, s.object};
    } else if (m.descriptor == &pg_query__rename_stmt__descriptor) {
        const auto& s = as<PgQuery__RenameStmt>(m);
        f = {s.rename_type, s.relation, s.object};
        if (s.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE)
            opaque("ALTER DATABASE … RENAME gives every table another place");
        if (s.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN ||
            s.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE)
            out_.effects |= code_effect::retells;
        place_ = "alter";
        if (s.newname != nullptr) out_.new_names.push_back(cut_identifier(s.newname));
        if (s.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA)
            for (const char* name : {s.subname, s.newname})
                whole_schema(name == nullptr ? "" : name, access::write);
    }
    target(f.relation, access::write, "alter");
    if (f.relation == nullptr) named_object(f.type, f.object, "alter");
}

void walker::visit_grant(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__GrantStmt>(m);
    access_ = access::write;
    place_ = "grant";
    const bool all = s.targtype == PG_QUERY__GRANT_TARGET_TYPE__ACL_TARGET_ALL_IN_SCHEMA;
    const bool rows = s.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE ||
                      s.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE;
    if ((all && rows) || s.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA)
        for (std::size_t i = 0; i < s.n_objects; ++i)
            whole_schema(string_of(s.objects[i]), access::write);
    members(m);
}

void walker::visit_publication(const ProtobufCMessage& m) {
    const bool creates = m.descriptor == &pg_query__create_publication_stmt__descriptor;
    const bool all = creates ? as<PgQuery__CreatePublicationStmt>(m).for_all_tables != 0
                             : as<PgQuery__AlterPublicationStmt>(m).for_all_tables != 0;
    const std::size_t n = creates ? as<PgQuery__CreatePublicationStmt>(m).n_pubobjects
                                  : as<PgQuery__AlterPublicationStmt>(m).n_pubobjects;
    PgQuery__Node* const* objects = creates ? as<PgQuery__CreatePublicationStmt>(m).pubobjects
                                            : as<PgQuery__AlterPublicationStmt>(m).pubobjects;
    if (all) opaque("a publication of every table");
    access_ = access::read;
    place_ = "publication";
    for (std::size_t i = 0; i < n; ++i) {
        if (objects[i]->node_case != PG_QUERY__NODE__NODE_PUBLICATION_OBJ_SPEC) {
            opaque("a publication of objects that the analysis does not know");
            continue;
        }
        // Without a name: of the current schema, which only the session knows.
        const PgQuery__PublicationObjSpec& o = *objects[i]->publication_obj_spec;
        if (o.pubtable == nullptr) whole_schema(o.name == nullptr ? "" : o.name, access::read);
    }
    members(m);
}

}  // namespace sallyport::policy::sql
