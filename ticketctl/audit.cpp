// ticketctl audit verify: has anybody been at the audit log?
#include <fstream>
#include <iostream>
#include <thread>

#include "admin_client.hpp"
#include "audit_chain.hpp"
#include "text.hpp"

namespace ticketctl {

using nlohmann::json;

namespace {

constexpr const char* usage =
    "Usage:\n"
    "  ticketctl audit verify [FILE...] [--offline] [--socket PATH] [--json]\n\n"
    "`--help` behind it tells its options.\n\n"
    "Example:\n  ticketctl audit verify\n";

CommandError broken(const std::string& what) { return {exit_no, what}; }

void follow(AuditChain& chain, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const auto unreadable = [&path] {
    return bad_input(path + ": cannot be read: is it there, a file, and may you read it?");
  };
  if (!file) throw unreadable();
  chain.next_file();
  std::string line;
  for (std::uint64_t at = 1; std::getline(file, line); ++at) {
    const auto problem =
        file.eof() ? "it has no end: it was cut, or is being written" : chain.add(line);
    if (!problem.empty()) throw broken(path + ":" + std::to_string(at) + ": " + problem);
  }
  if (file.bad()) throw unreadable();
}

// What the sealed state says that the log must be.
void compare(const AuditChain& chain, const json& head) {
  const auto count = head.value("count", std::uint64_t{0});
  const auto unwritten = head.value("unwritten", std::uint64_t{0});
  if (unwritten > 0) {
    throw broken(std::to_string(unwritten) +
                 " lines are not written yet: keyd's alarms in `ticketctl status` say why");
  }
  if (chain.count() < count) {
    throw broken("the log ends with line " + std::to_string(chain.count()) + ", but keyd wrote " +
                 std::to_string(count) +
                 ": its end was taken away, or the log was rotated: name all parts, the "
                 "oldest first");
  }
  if (chain.count() > count) {
    throw broken("the log has " + std::to_string(chain.count()) + " lines, but keyd wrote " +
                 std::to_string(count) + ": lines were added, or keyd's state is an older copy");
  }
  if (ticket::hex(chain.last()) != head.value("last", std::string())) {
    throw broken("the last line, number " + std::to_string(count) + ", is not the one keyd wrote");
  }
}

AuditChain follow_all(const std::vector<std::string>& files) {
  AuditChain chain;
  for (const auto& file : files) follow(chain, file);
  if (chain.count() == 0) throw bad_input(files.front() + ": no line of an audit log is there");
  return chain;
}

// keyd goes on writing while its log is read: what does not fit is looked at again.
AuditChain follow_live(const CommandLine& line, std::vector<std::string> files) {
  const bool all = files.empty();
  for (int attempt = 1;; ++attempt) {
    try {
      const auto where = ask_keyd(find_socket(line), {{"command", "audit"}});
      if (all) files = {where.value("file", std::string())};
      auto chain = follow_all(files);
      compare(chain, ask_keyd(find_socket(line), {{"command", "audit"}}));
      if (all && chain.first() > 1) {
        throw broken(files.front() + " begins with line " + std::to_string(chain.first()) +
                     ": lines were taken away, or the log was rotated: name all parts, the "
                     "oldest first");
      }
      return chain;
    } catch (const CommandError& problem) {
      if (problem.code != exit_no || attempt == 4) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(100 * attempt));
    }
  }
}

int verify_audit(int argc, const char* const* argv) {
  CommandLine line(
      "audit verify [FILE...] [--offline] [--socket PATH] [--json]",
      "Follows the audit log from line to line, and compares its end with what keyd's\n"
      "sealed state says. FILE is by default the one that keyd writes to; of a log\n"
      "that was rotated, name all parts, the oldest first.\n",
      "ticketctl audit verify");
  line.options.add_options("arguments")("FILE", "", cxxopts::value<std::vector<std::string>>());
  line.options.parse_positional({"FILE"});
  line.add()("offline", "Ask no keyd: tell whether the lines fit, and how they end");
  add_admin_options(line);
  if (!line.parse(argc, argv)) return exit_ok;

  std::vector<std::string> files;
  if (line.has("FILE")) files = line.given["FILE"].as<std::vector<std::string>>();
  const bool offline = line.flag("offline");
  if (offline && files.empty()) throw bad_input("with --offline, name the FILE to look at");
  const auto chain = offline ? follow_all(files) : follow_live(line, files);
  if (line.flag("json")) {
    std::cout << json{{"ok", true},
                      {"first", chain.first()},
                      {"count", chain.count()},
                      {"last", ticket::hex(chain.last())},
                      {"compared", !offline}}
                     .dump(2)
              << "\n";
    return exit_ok;
  }
  std::cout << "lines " << chain.first() << " to " << chain.count() << " fit"
            << (offline             ? "; their end was compared with nothing\n"
                : chain.first() > 1 ? ", and end as keyd wrote them\n"
                                    : ", and are all that keyd wrote\n")
            << "  last line " << ticket::hex(chain.last()) << "\n";
  if (chain.first() > 1) {
    std::cout << "  lines before " << chain.first() << " are in parts that were not named\n";
  }
  return exit_ok;
}

}  // namespace

int run_audit(int argc, const char* const* argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "verify") return verify_audit(argc - 1, argv + 1);
  if (verb == "--help" || verb == "-h") {
    std::cout << usage;
    return exit_ok;
  }
  if (!verb.empty()) std::cerr << "ticketctl: no such command: audit " << verb << "\n\n";
  std::cerr << usage;
  return exit_usage;
}

}  // namespace ticketctl
