#include "pool_folder.hpp"

#include <toml++/toml.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "command.hpp"

namespace ticketctl {

namespace fs = std::filesystem;
using ticket::SecretBytes;

namespace {

// A file of at most 64 KiB, wiped with the result, for keys come this way too.
SecretBytes read_file(const fs::path& path, const std::string& way_out) {
  if (fs::is_directory(path)) throw bad_input(path.string() + " is a folder, not a file");
  std::ifstream file;
  file.rdbuf()->pubsetbuf(nullptr, 0);  // so that no copy stays in a stream's buffer
  file.open(path, std::ios::binary);
  if (!file)
    throw bad_input("cannot read " + path.string() + ": " + std::strerror(errno) + way_out);
  constexpr std::size_t limit = 64 * 1024;
  SecretBytes bytes(limit);
  file.read(reinterpret_cast<char*>(bytes.fill().data()), limit);
  const auto size = static_cast<std::size_t>(file.gcount());
  if (size == limit) throw bad_input(path.string() + " is too long: at most 64 KiB");
  return SecretBytes::copy_of(bytes.expose().first(size));
}

std::string read_text(const fs::path& path, const std::string& way_out) {
  return std::string(ticket::as_text(read_file(path, way_out).expose()));
}

Identity read_authority(const std::string& pem, const fs::path& pem_path, const fs::path& key_path,
                        ticket::sys_seconds now) {
  auto chain = ticket::crypto::parse_chain(pem);
  if (!chain) throw bad_input(pem_path.string() + " is not a certificate in PEM");
  const auto key_pem = read_file(key_path, "; --ca-key PATH says where it is kept");
  Identity authority{std::move(chain->front()),
                     ticket::crypto::parse_private_key(ticket::as_text(key_pem.expose()))};
  if (authority.key == nullptr) {
    throw bad_input(key_path.string() + " is not a private key in PEM (without passphrase)");
  }
  if (X509_check_private_key(authority.certificate.get(), authority.key.get()) != 1) {
    throw bad_input(key_path.string() + " is not the key of " + pem_path.string());
  }
  if (now >= not_after(authority.certificate.get())) {
    throw bad_input(pem_path.string() + " has expired: make a new pool with `ticketctl init`");
  }
  return authority;
}

std::string read_authority_key(const fs::path& path, const std::string& way_out) {
  auto text = read_text(path, way_out);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  const auto key = ticket::from_base64url(text);
  if (!key || key->size() != 32) {
    throw bad_input(path.string() + " is not a public key: 43 characters of base64url");
  }
  return text;
}

toml::table parse_config(const fs::path& path, const std::string& way_out) {
  try {
    return toml::parse(read_text(path, way_out), path.string());
  } catch (const toml::parse_error& error) {
    throw bad_input(path.string() + ":" + std::to_string(error.source().begin.line) + ": " +
                    std::string(error.description()));
  }
}

const toml::table& find_pool(const toml::table& config, const fs::path& path,
                             const std::string& name) {
  std::string known;
  if (const auto* pools = config["pool"].as_array()) {
    for (const auto& pool : *pools) {
      const auto* table = pool.as_table();
      if (table == nullptr) continue;
      const auto pool_name = (*table)["name"].value_or(std::string());
      if (pool_name == name) return *table;
      known += (known.empty() ? "" : ", ") + pool_name;
    }
  }
  throw bad_input("no pool " + name + " in " + path.string() +
                  ", which has: " + (known.empty() ? "none" : known));
}

void check_members_ca(const toml::table& pool, const fs::path& folder, const fs::path& ca) {
  const fs::path wanted = folder / pool["members_ca"].value_or(std::string());
  if (fs::weakly_canonical(wanted) != fs::weakly_canonical(ca)) {
    throw bad_input("the pool takes members of " + wanted.string() + " (members_ca), not of " +
                    ca.string() + ": let that CA issue the certificate");
  }
}

}  // namespace

PoolFolder read_pool_folder(const fs::path& folder, const std::string& pool, const fs::path& ca_key,
                            ticket::sys_seconds now) {
  const auto way_out = "; is " + folder.string() + " a folder that `ticketctl init --dir` made?";
  const auto config_path = folder / "keyd.toml";
  const auto config = parse_config(config_path, way_out);
  const auto ca_path = folder / "ca.pem";
  check_members_ca(find_pool(config, config_path, pool), folder, ca_path);
  PoolFolder found;
  found.authority_pem = read_text(ca_path, way_out);
  found.authority = read_authority(found.authority_pem, ca_path, ca_key, now);
  found.authority_key = read_authority_key(folder / "authority.pub", way_out);
  found.listen = config["authority"]["listen"][0].value_or(std::string());
  return found;
}

}  // namespace ticketctl
