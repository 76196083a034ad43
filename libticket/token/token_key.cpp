#include "token/token_key.hpp"

#include <algorithm>

#include "crypto/digest.hpp"
#include "crypto/voprf.hpp"
#include "wire/cursor.hpp"

namespace ticket::token {

namespace {

// RFC 9578, section 6.5. By hand: i2d_PUBKEY encodes the parameters otherwise, in 346
// bytes, and so changes the key's id.
constexpr unsigned char rsa_prefix[] = {
    0x30, 0x82, 0x01, 0x52,                          // SubjectPublicKeyInfo
    0x30, 0x3d,                                      // AlgorithmIdentifier
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,  // id-RSASSA-PSS
    0x01, 0x01, 0x0a,                                //
    0x30, 0x30,                                      // RSASSA-PSS-params
    0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86,  // hash: SHA-384
    0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,        //
    0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86,  // MGF1
    0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,        //
    0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,  // with SHA-384
    0x65, 0x03, 0x04, 0x02, 0x02,                    //
    0xa2, 0x03, 0x02, 0x01, 0x30,                    // salt: 48
    0x03, 0x82, 0x01, 0x0f, 0x00,                    // BIT STRING
    0x30, 0x82, 0x01, 0x0a,                          // RSAPublicKey
    0x02, 0x82, 0x01, 0x01, 0x00,                    // modulus: its 256 bytes follow
};
constexpr unsigned char rsa_suffix[] = {0x02, 0x03, 0x01, 0x00, 0x01};  // exponent: 65537
constexpr std::size_t modulus_size = 256;
static_assert(sizeof(rsa_prefix) + modulus_size + sizeof(rsa_suffix) == wire::rsa_token_key_size);

BytesView prefix() { return std::as_bytes(std::span(rsa_prefix)); }
BytesView suffix() { return std::as_bytes(std::span(rsa_suffix)); }

Checked<crypto::BlindRsaPublic> load(BytesView key) {
  return crypto::BlindRsaPublic::load(key.subspan(sizeof(rsa_prefix), modulus_size),
                                      suffix().last(3));
}

Checked<bool> check_rsa(BytesView bytes) {
  if (bytes.size() != wire::rsa_token_key_size ||
      !std::ranges::equal(bytes.first(sizeof(rsa_prefix)), prefix()) ||
      !std::ranges::equal(bytes.last(sizeof(rsa_suffix)), suffix())) {
    return reject(Rejection::bad_key);
  }
  TRY(load(bytes));
  return true;
}

}  // namespace

Checked<TokenKey> parse_token_key(TokenType type, BytesView bytes) {
  if (type == TokenType::blind_rsa) {
    TRY(check_rsa(bytes));
  } else if (!crypto::voprf::valid_element(bytes)) {
    return reject(Rejection::bad_key);
  }
  return TokenKey{type, to_bytes(bytes), crypto::sha256(bytes)};
}

Checked<crypto::BlindRsaPublic> load_rsa(const TokenKey& key) {
  if (key.type != TokenType::blind_rsa || key.bytes.size() != wire::rsa_token_key_size) {
    return reject(Rejection::bad_key);
  }
  return load(key.bytes);
}

Checked<TokenKey> rsa_token_key(BytesView modulus) {
  if (modulus.size() != modulus_size) return reject(Rejection::bad_key);
  Bytes bytes(wire::rsa_token_key_size);
  wire::Writer(bytes).bytes(prefix()).bytes(modulus).bytes(suffix());
  return parse_token_key(TokenType::blind_rsa, bytes);
}

}  // namespace ticket::token
