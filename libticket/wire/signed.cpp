#include "wire/signed.hpp"

#include "wire/cursor.hpp"

namespace ticket::wire {

Bytes bundle_message(const ByteArray<32>& manifest_hash, const ByteArray<32>& secrets_hash) {
  Bytes message(bundle_prefix.size() + 64);
  Writer(message).bytes(as_bytes(bundle_prefix)).bytes(manifest_hash).bytes(secrets_hash);
  return message;
}

Bytes enrol_message(const ByteArray<32>& authority_hash, std::string_view pool,
                    const ByteArray<32>& sealing_public, sys_seconds time) {
  Bytes message(enrol_prefix.size() + 32 + 1 + pool.size() + 32 + 8);
  Writer(message)
      .bytes(as_bytes(enrol_prefix))
      .bytes(authority_hash)
      .short_field(as_bytes(pool))
      .bytes(sealing_public)
      .time(time);
  return message;
}

}  // namespace ticket::wire
