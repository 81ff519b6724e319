/** Randomness, as an argument. The implementation is the cryptographic generator in `crypto/random.ts`. */
export interface Random {
  bytes(length: number): Uint8Array;
  /** A random GUID (RFC 9562 version 4), lower case. */
  guid(): string;
  /** An object version: 32 lower-case hexadecimal characters. */
  version(): string;
}
