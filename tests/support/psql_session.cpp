#include "tests/support/psql_session.h"

#include <csignal>

namespace sallyport::tests {
namespace {

command command_of(const psql_options& o) {
    command c;
    c.argv = {"psql",
              "-X",
              "-q",
              "-A",
              "-t",
              "-P",
              "pager=off",
              "-v",
              "VERBOSITY=verbose",
              "-v",
              "SHOW_CONTEXT=never"};
    c.env = {{"PGHOST", "127.0.0.1"},    {"PGPORT", std::to_string(o.port)},
             {"PGUSER", o.user},         {"PGPASSWORD", o.password},
             {"PGDATABASE", o.database}, {"PGSSLMODE", o.sslmode},
             {"PGOPTIONS", o.options},   {"PGAPPNAME", "psql"},
             {"HOME", "/nonexistent"}};
    for (const auto& [name, value] : o.env)
        c.env[name] = value;
    return c;
}

command interactive(command c) {
    c.argv.insert(c.argv.end(), {"-n", "-v", "PROMPT1=", "-v", "PROMPT2=", "-v", "PROMPT3="});
    c.terminal = true;
    return c;
}

}  // namespace

psql_session::psql_session(const psql_options& o) : process_(interactive(command_of(o))) {}

void psql_session::send(const std::string& sql) {
    mark_ = process_.output().size();
    ++number_;
    // psql itself says when it is done and how it went.
    process_.send(sql + (sql.empty() || sql.back() == ';' || sql[0] == '\\' ? "" : ";") +
                  "\n\\warn done-" + std::to_string(number_) + " :SQLSTATE end\n");
}

psql_answer psql_session::finish(milliseconds deadline) {
    const std::string marker = "done-" + std::to_string(number_) + " ";
    const auto end = process_.wait_for(marker, mark_, deadline);
    const auto whole =
        process_.wait_for(" end\n", end == std::string::npos ? mark_ : end, deadline);
    const std::string all = process_.output();
    psql_answer answer;
    if (end == std::string::npos || whole == std::string::npos) {
        answer.text = all.substr(mark_);
        return answer;
    }
    answer.complete = true;
    answer.text = all.substr(mark_, end - marker.size() - mark_);
    answer.sqlstate = all.substr(end, whole - 5 - end);
    if (!answer.text.empty() && answer.text.back() == '\n') answer.text.pop_back();
    mark_ = whole;
    return answer;
}

psql_answer psql_session::ask(const std::string& sql, milliseconds deadline) {
    send(sql);
    return finish(deadline);
}

bool psql_session::shows(const std::string& text, milliseconds deadline) {
    return process_.wait_for(text, mark_, deadline) != std::string::npos;
}

void psql_session::interrupt() {
    process_.signal(SIGINT);
}
void psql_session::kill() {
    process_.signal(SIGKILL);
}
void psql_session::quit() {
    process_.send("\\q\n");
}

command_result psql_once(const psql_options& o, const std::string& sql) {
    command c = command_of(o);
    c.argv.insert(c.argv.end(), {"-c", sql});
    return run(c);
}

}  // namespace sallyport::tests
