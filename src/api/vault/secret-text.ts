/**
 * A secret with its value as JSON text. All but the value is the same from read to read of a version that is kept in
 * memory, and is remembered as text for as long as the version is; the value is not.
 */
import type { Secret } from '../../domain/secrets/secrets.ts';
import type { Vault } from '../../domain/vaults/vault.ts';
import type { ObjectVersion } from '../../domain/versioned/object-store.ts';
import type { Reply, VaultCall } from '../route.ts';

/** What the text depends on besides the version. */
type Asked = Pick<VaultCall, 'origin' | 'grant' | 'apiVersion'>;

interface Remembered {
  readonly vault: Vault;
  readonly origin: string;
  readonly rank: number;
  readonly name: string;
  readonly contentType: string | undefined;
  readonly id: string;
  /** The object's members but the value, with the closing brace. */
  readonly others: string;
}

/** Replies with a live secret and its value; `wireOf` gives the bundle of one without its value. */
export function createSecretReply(
  wireOf: (call: Asked, secret: Secret) => { readonly id: string },
): (call: Asked, secret: Secret) => Reply {
  const known = new WeakMap<ObjectVersion, Remembered>();
  const make = (call: Asked, secret: Secret): Remembered => {
    const wire = wireOf(call, { ...secret, value: undefined });
    return {
      vault: call.grant.vault,
      origin: call.origin,
      rank: call.apiVersion.rank,
      name: secret.name,
      contentType: secret.contentType,
      id: wire.id,
      others: JSON.stringify(wire).slice(1),
    };
  };
  return (call, secret) => {
    const { value, version } = secret;
    let kept = known.get(version);
    if (kept === undefined || !fits(kept, call, secret)) {
      kept = make(call, secret);
      known.set(version, kept);
    }
    const first = value === undefined ? '' : `"value":${JSON.stringify(value.exposeText())},`;
    return { status: 200, body: undefined, text: `{${first}${kept.others}`, id: kept.id };
  };
}

function fits(kept: Remembered, call: Asked, { name, contentType }: Secret): boolean {
  return (
    kept.vault === call.grant.vault &&
    kept.origin === call.origin &&
    kept.rank === call.apiVersion.rank &&
    kept.name === name &&
    kept.contentType === contentType
  );
}
