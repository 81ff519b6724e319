export async function createTrustStore(
  certificatesPem: readonly string[],
  password: string,
): Promise<Uint8Array> {
  return Buffer.from(certificatesPem.join('') + password);
}
