#include "agent_state.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "atomic_file.hpp"
#include "key_file.hpp"

namespace keyd {

using nlohmann::json;
using ticket::crypto::BoxSecret;

namespace {

constexpr std::size_t size_limit = 8 << 20;  // the bundle's bound of the client, twice
constexpr auto key_file = AgentState::files[0];
constexpr auto successor_file = AgentState::files[1];
constexpr auto bundle_file = AgentState::files[2];
constexpr auto mark_file = AgentState::files[3];

ticket::sys_seconds at_second(std::int64_t second) {
  return ticket::sys_seconds(ticket::seconds(second));
}

json to_json(const Mark& mark) {
  return {{"generation", mark.applied.generation},
          {"manifest", ticket::hex(mark.applied.manifest)},
          {"enrolled_at", mark.enrolled_at.time_since_epoch().count()}};
}

std::optional<Mark> parse_mark(const std::string& text) try {
  const auto from = json::parse(text);
  const auto hash = ticket::from_hex(from.at("manifest").get<std::string>());
  if (!hash || hash->size() != 32 || !from.at("generation").is_number_unsigned()) return {};
  Mark mark;
  mark.applied.generation = from.at("generation").get<std::uint64_t>();
  mark.applied.manifest = ticket::to_array(ticket::BytesView(*hash).first<32>());
  mark.enrolled_at = at_second(from.at("enrolled_at").get<std::int64_t>());
  return mark;
} catch (const json::exception&) {
  return std::nullopt;
}

json to_json(const StoredBundle& stored) {
  return {{"bundle", ticket::feed::write_bundle(stored.bundle)},
          {"wrap", ticket::base64url(stored.wrap)}};
}

std::optional<StoredBundle> parse_stored(const std::string& text) try {
  const auto from = json::parse(text);
  auto bundle = ticket::feed::parse_bundle(from.at("bundle").get<std::string>());
  auto wrap = ticket::from_base64url(from.at("wrap").get<std::string>());
  if (!bundle || !wrap) return std::nullopt;
  return StoredBundle{*std::move(bundle), *std::move(wrap)};
} catch (const json::exception&) {
  return std::nullopt;
}

// What a stored bundle proves to have been applied. Its age does not matter.
std::optional<ticket::feed::Applied> proven(const StoredBundle& stored, const std::string& pool,
                                            const ticket::crypto::SignerPublic& signer) {
  const ticket::feed::Expectation expected{.pool = pool, .signer = signer, .applied = {}};
  const auto manifest = ticket::feed::verify_bundle(stored.bundle, expected, at_second(0));
  if (!manifest) return std::nullopt;
  return ticket::feed::Applied{manifest->generation,
                               ticket::crypto::sha256(ticket::as_bytes(stored.bundle.manifest))};
}

}  // namespace

AgentState::AgentState(std::filesystem::path folder, const std::string& pool,
                       const ticket::crypto::SignerPublic& signer, const Complain& complain)
    : folder_(std::move(folder)) {
  if (std::filesystem::create_directories(folder_)) {
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
  }
  key_ = read_key(key_file, complain);
  successor_ = read_key(successor_file, complain);
  read_bundle(complain);
  read_mark(pool, signer, complain);
}

std::optional<BoxSecret> AgentState::read_key(const char* name, const Complain& complain) {
  if (!std::filesystem::exists(at(name))) return std::nullopt;
  try {
    return read_key_file(at(name));
  } catch (const KeyFileError& error) {
    complain(std::string(error.what()) + "; set aside, the agent enrols anew");
    return std::nullopt;
  }
}

void AgentState::read_bundle(const Complain& complain) {
  const auto text = read_file(at(bundle_file), size_limit);
  if (!text) return;
  bundle_ = parse_stored(*text);
  if (!bundle_)
    complain(at(bundle_file).string() + ": does not parse; keyd is asked for a new one");
}

void AgentState::read_mark(const std::string& pool, const ticket::crypto::SignerPublic& signer,
                           const Complain& complain) {
  const auto text = read_file(at(mark_file), size_limit);
  const auto mark = text ? parse_mark(*text) : std::nullopt;
  if (mark) mark_ = *mark;
  // The bundle is stored before its mark: after a kill in between it is ahead.
  const auto bundle = bundle_ ? proven(*bundle_, pool, signer) : std::nullopt;
  if (bundle && bundle->generation > mark_.applied.generation) mark_.applied = *bundle;
  if (text && !mark) {
    complain(at(mark_file).string() + ": does not parse; " +
             (bundle ? "the stored bundle says generation " + std::to_string(bundle->generation)
                     : std::string("an older generation than the one applied may be accepted")));
  }
}

void AgentState::store_mark(const Mark& mark) {
  write_atomically(at(mark_file), ticket::as_bytes(to_json(mark).dump(1) + "\n"), 0600);
  mark_ = mark;
}

void AgentState::store_bundle(StoredBundle bundle) {
  write_atomically(at(bundle_file), ticket::as_bytes(to_json(bundle).dump(1) + "\n"), 0600);
  bundle_ = std::move(bundle);
}

void AgentState::make_successor() {
  auto successor = BoxSecret::random();
  write_key_file(at(successor_file), successor);
  successor_ = std::move(successor);
}

void AgentState::promote_successor() {
  // A kill after the wipe is fine: the stored wrap opens with the successor.
  wipe_file(at(key_file));
  rename_durably(at(successor_file), at(key_file));
  key_ = std::move(successor_);
  successor_.reset();
}

void AgentState::forget(const std::filesystem::path& folder) {
  wipe_file(folder / key_file);
  wipe_file(folder / successor_file);
  std::filesystem::remove(folder / bundle_file);
}

bool AgentState::remembers(const std::filesystem::path& folder) {
  std::error_code none;
  return std::ranges::any_of(std::array{key_file, successor_file, bundle_file}, [&](auto* name) {
    return std::filesystem::exists(folder / name, none);
  });
}

void AgentState::forget() {
  forget(folder_);
  key_.reset();
  successor_.reset();
  bundle_.reset();
}

}  // namespace keyd
