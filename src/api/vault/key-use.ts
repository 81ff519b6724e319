/** What keys do, as rows: encryption, signatures, wrapping and release. */
import * as v from 'valibot';
import { type Action, keyActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import {
  parseEncryptionAlgorithm,
  parseKeyTransportAlgorithm,
  parseSignatureAlgorithm,
} from '../../domain/keys/key-spec.ts';
import type { KeyUse, Used } from '../../domain/keys/key-use.ts';
import type { KeyRelease } from '../../domain/keys/release.ts';
import { type Reply, type VaultRoute, vaultRoute } from '../route.ts';
import { base64url, bytesSchema, keyWire, kidOf } from './key-wire.ts';
import type { AnyCall } from './object-routes.ts';
import { objectSchema } from './wire.ts';

const algorithmName = v.pipe(v.string('The name of an algorithm is required.'), v.maxLength(64));
const encryptionSchema = objectSchema({
  alg: algorithmName,
  value: bytesSchema,
  iv: v.nullish(bytesSchema),
  aad: v.nullish(bytesSchema),
  tag: v.nullish(bytesSchema),
});
const signSchema = objectSchema({ alg: algorithmName, value: bytesSchema });
const attestation = v.pipe(
  v.string('An attestation token is required.'),
  v.nonEmpty('An attestation token is required.'),
);
const releaseSchema = objectSchema({
  target: attestation,
  nonce: v.nullish(v.pipe(v.string(), v.maxLength(1024))),
  enc: v.nullish(algorithmName),
});
const secureWrapSchema = objectSchema({ alg: algorithmName });
const secureUnwrapSchema = objectSchema({ alg: algorithmName, value: bytesSchema, target: attestation });
const verifySchema = objectSchema({ alg: algorithmName, digest: bytesSchema, value: bytesSchema });

export function keyUseRoutes(keys: KeyUse, release: KeyRelease): readonly VaultRoute[] {
  return [
    encryptRoute(keys, { operation: 'encrypt', audit: 'KeyEncrypt', action: actions.encrypt }),
    encryptRoute(keys, { operation: 'wrapKey', audit: 'KeyWrap', action: actions.wrapKey }),
    decryptRoute(keys, { operation: 'decrypt', audit: 'KeyDecrypt', action: actions.decrypt }),
    decryptRoute(keys, { operation: 'unwrapKey', audit: 'KeyUnwrap', action: actions.unwrapKey }),
    ...signatureRoutes(keys),
    releaseRoute(release),
    ...secureRoutes(release),
  ];
}

interface Named {
  readonly operation: string;
  readonly audit: string;
  readonly action: Action;
}

function encryptRoute(keys: KeyUse, { operation, audit, action }: Named): VaultRoute {
  return vaultRoute({
    operation,
    audit,
    method: 'POST',
    path: `/keys/:name/:version?/${operation.toLowerCase()}`,
    action,
    kind: 'keys',
    schema: encryptionSchema,
    handle: async (call) => {
      const { version, body } = call;
      if (body.tag) throw notFor('tag', operation);
      const used = await keys.encrypt(call.grant, {
        version,
        algorithm: parseEncryptionAlgorithm(body.alg),
        plaintext: body.value,
        iv: body.iv ?? undefined,
        aad: body.aad ?? undefined,
      });
      const { ciphertext, iv, tag } = used.result;
      return replied(call, used, {
        value: base64url(ciphertext),
        iv: iv && base64url(iv),
        tag: tag && base64url(tag),
        aad: tag && body.aad ? base64url(body.aad) : undefined,
      });
    },
  });
}

function decryptRoute(keys: KeyUse, { operation, audit, action }: Named): VaultRoute {
  return vaultRoute({
    operation,
    audit,
    method: 'POST',
    path: `/keys/:name/:version?/${operation.toLowerCase()}`,
    action,
    kind: 'keys',
    schema: encryptionSchema,
    handle: async (call) => {
      const { version, body } = call;
      const used = await keys.decrypt(call.grant, {
        version,
        algorithm: parseEncryptionAlgorithm(body.alg),
        ciphertext: body.value,
        iv: body.iv ?? undefined,
        aad: body.aad ?? undefined,
        tag: body.tag ?? undefined,
      });
      return replied(call, used, { value: base64url(used.result.exposeBytes()) });
    },
  });
}

function signatureRoutes(keys: KeyUse): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'sign',
      audit: 'KeySign',
      method: 'POST',
      path: '/keys/:name/:version?/sign',
      action: actions.sign,
      kind: 'keys',
      schema: signSchema,
      handle: async (call) => {
        const { version, body } = call;
        const algorithm = parseSignatureAlgorithm(body.alg);
        const used = await keys.sign(call.grant, { version, algorithm, value: body.value });
        return replied(call, used, { value: base64url(used.result) });
      },
    }),
    vaultRoute({
      operation: 'verify',
      audit: 'KeyVerify',
      method: 'POST',
      path: '/keys/:name/:version?/verify',
      action: actions.verify,
      kind: 'keys',
      schema: verifySchema,
      handle: async (call) => {
        const { version, body } = call;
        const algorithm = parseSignatureAlgorithm(body.alg);
        const asked = { version, algorithm, value: body.digest, signature: body.value };
        const { key, result } = await keys.verify(call.grant, asked);
        return { status: 200, body: { value: result }, id: kidOf(call, key) };
      },
    }),
  ];
}

function releaseRoute(keys: KeyRelease): VaultRoute {
  return vaultRoute({
    operation: 'release',
    audit: 'KeyRelease',
    method: 'POST',
    path: '/keys/:name/:version?/release',
    since: '7.3',
    action: actions.release,
    kind: 'keys',
    schema: releaseSchema,
    handle: async (call) => {
      const { version, body, grant } = call;
      const asked = `${call.origin}/keys/${grant.target.name ?? ''}`;
      const { key, result } = await keys.release(grant, {
        version,
        token: body.target,
        nonce: body.nonce ?? undefined,
        algorithm: parseKeyTransportAlgorithm(body.enc ?? 'CKM_RSA_AES_KEY_WRAP'),
        apiVersion: call.apiVersion.text,
        kid: version === undefined ? asked : `${asked}/${version}`,
        show: (shown) => {
          const { key: jwk, attributes } = keyWire(call, shown);
          return { key: jwk, attributes: { ...attributes } };
        },
      });
      return { status: 200, body: { value: result }, id: kidOf(call, key) };
    },
  });
}

function secureRoutes(keys: KeyRelease): VaultRoute[] {
  const row = { method: 'POST', since: '2026-04-01', kind: 'keys' } as const;
  return [
    vaultRoute({
      ...row,
      operation: 'securewrapkey',
      audit: 'KeySecureWrap',
      path: '/keys/:name/:version?/securewrapkey',
      action: actions.wrapKey,
      schema: secureWrapSchema,
      handle: async (call) => {
        const { version, body } = call;
        const algorithm = parseEncryptionAlgorithm(body.alg);
        const used = await keys.secureWrap(call.grant, { version, algorithm });
        return replied(call, used, { value: base64url(used.result), alg: body.alg });
      },
    }),
    vaultRoute({
      ...row,
      operation: 'secureunwrapkey',
      audit: 'KeySecureUnwrap',
      path: '/keys/:name/:version?/secureunwrapkey',
      action: actions.unwrapKey,
      schema: secureUnwrapSchema,
      handle: async (call) => {
        const { version, body } = call;
        const asked = { version, algorithm: parseEncryptionAlgorithm(body.alg), wrapped: body.value };
        const used = await keys.secureUnwrap(call.grant, { ...asked, token: body.target });
        return replied(call, used, { value: base64url(used.result.exposeBytes()), alg: body.alg });
      },
    }),
  ];
}

/** The key that was used, and what it made; JSON leaves out what is undefined. */
function replied(call: AnyCall, { key }: Used<unknown>, result: object): Reply {
  const kid = kidOf(call, key);
  return { status: 200, body: { kid, ...result }, id: kid };
}

function notFor(member: string, operation: string): Failure {
  return new Failure('badParameter', `Property ${member} has invalid value\r\nIt is not for ${operation}.`);
}
