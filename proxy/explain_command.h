#pragma once

#include <iosfwd>
#include <string>

#include "proxy/admin/explained.h"

namespace sallyport::proxy {

struct explain_options {
    std::string config;
    admin::explain_question question;
    std::string file;  ///< the text stands there; "-": standard input; "": in question.sql
    std::string at;    ///< "2026-03-01T09:30:00Z"; "" = now
    bool no_catalog = false;
    bool json = false;
    bool exit_code = false;  ///< the decision is the exit code, too
};

/// Explains, with the target's own catalog if it has a login for it. The exit code: 0 explained; 2
/// a fault in a file, or the question cannot be answered. With `exit_code`: 0 allowed, 1 held, 3
/// denied.
[[nodiscard]] int run_explain(explain_options o, std::istream& in, std::ostream& out,
                              std::ostream& err);

}  // namespace sallyport::proxy
