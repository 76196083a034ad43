// TLS servers that nobody here wrote, to look at: nginx, HAProxy, openssl s_server,
// and what pretends to be one.
#pragma once

#include <string>
#include <vector>

#include "support/process.hpp"

namespace servers {

// A folder with certificates, ticket keys and the servers' own files. Each start_*
// returns when the server answers.
class Lab {
 public:
  Lab();

  // NAME.pem and NAME.key in the folder, for that server name; signed by itself.
  void make_certificate(const std::string& name) const;
  // 48 random bytes, as nginx takes them.
  void make_ticket_key(const std::string& file) const;
  std::string path(const std::string& file) const { return folder_ / file; }

  // Each gives "127.0.0.1:PORT". `lines` go into a server block of nginx, whose
  // certificate is a.pem unless they name another; `more` beside it.
  std::string nginx(const std::string& lines, const std::string& more = "");
  std::string nginx_stream(const std::string& lines);
  // The end of a bind line; a.pem, plain HTTP answers.
  std::string haproxy(const std::string& bind);
  // TCP, to each in turn.
  std::string balancer(const std::vector<std::string>& behind);
  std::string s_server(const std::vector<std::string>& options);
  // libticket's, on a ring file; `hosts` as its --host takes them.
  std::string example(const std::string& ring, const std::vector<std::string>& hosts);
  // `code` is Python: what to do with each connection, named `connection`.
  std::string pretender(const std::string& code);
  static std::string nobody();

 private:
  std::string run_nginx(const std::string& blocks, std::uint16_t port, const char* modules);
  std::string keep(std::vector<std::string> argv, std::uint16_t port);
  std::string new_folder();

  support::TempFolder folder_;
  std::vector<support::Process> processes_;
  int folders_ = 0;
};

}  // namespace servers
