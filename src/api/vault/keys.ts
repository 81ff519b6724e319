/** The operations on keys and deleted keys as objects, as rows; what keys do is in `key-use.ts`. */
import { keyActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import type { Key } from '../../domain/keys/key-objects.ts';
import { parseKeySpec } from '../../domain/keys/key-spec.ts';
import type { Keys } from '../../domain/keys/keys.ts';
import type { KeyRotation, ShownPolicy } from '../../domain/keys/rotation.ts';
import { type Reply, type VaultRoute, vaultRoute } from '../route.ts';
import {
  akpSince,
  attributesOf,
  choicesOf,
  createSchema,
  hasType,
  importSchema,
  keyItemWire,
  keyWire,
  kidOf,
  parseImportedKey,
  rotationPolicySchema,
  splitKty,
  updateSchema,
} from './key-wire.ts';
import { type AnyCall, objectRoutes, plainLists } from './object-routes.ts';

export function keyRoutes(keys: Keys, rotation: KeyRotation): readonly VaultRoute[] {
  return [
    ...makingRoutes(keys),
    ...liveRoutes(keys),
    ...objectRoutes({
      noun: 'Key',
      kind: 'keys',
      actions,
      operations: keys,
      lists: plainLists(keys),
      found,
      item: keyItemWire,
    }),
    ...rotationRoutes(rotation),
  ];
}

function makingRoutes(keys: Keys): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'CreateKey',
      audit: 'KeyCreate',
      method: 'POST',
      path: '/keys/:name/create',
      action: actions.create,
      kind: 'keys',
      schema: createSchema,
      handle: async (call) => {
        const { body } = call;
        const { type, hsm } = splitKty(body.kty);
        if (!hasType(call.apiVersion, type))
          throw new Failure('badParameter', `Property kty has invalid value\r\nIt came with ${akpSince}.`);
        const spec = parseKeySpec({
          type,
          size: body.key_size ?? undefined,
          // Azure takes 0 for none (recorded of its client for Java, which always sends a number).
          exponent: body.public_exponent || undefined,
          // "" for none is what Terraform's azurerm provider sends, whose tests run against Azure.
          curve: body.crv || undefined,
          algorithm: body.alg ?? undefined,
        });
        return found(call, await keys.create(call.grant, { ...choicesOf(body), hsm, spec }));
      },
    }),
    vaultRoute({
      operation: 'ImportKey',
      audit: 'KeyImport',
      method: 'PUT',
      path: '/keys/:name',
      action: actions.import,
      kind: 'keys',
      schema: importSchema,
      handle: async (call) => {
        const imported = parseImportedKey(call, call.body);
        return found(call, await keys.import(call.grant, { ...choicesOf(call.body), ...imported }));
      },
    }),
  ];
}

function liveRoutes(keys: Keys): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetKey',
      audit: 'KeyGet',
      method: 'GET',
      path: '/keys/:name/:version?',
      action: actions.get,
      kind: 'keys',
      handle: (call) => {
        const known = keys.known(call.grant, call.version);
        if (known !== undefined) return found(call, known);
        return keys.get(call.grant, call.version).then((key) => found(call, key));
      },
    }),
    vaultRoute({
      operation: 'GetKeyAttestation',
      audit: 'KeyGet',
      method: 'GET',
      path: '/keys/:name/:version?/attestation',
      since: '7.6',
      action: actions.get,
      kind: 'keys',
      // Software attests nothing: the key is shown without the member that would say so.
      handle: async (call) => found(call, await keys.get(call.grant, call.version)),
    }),
    vaultRoute({
      operation: 'UpdateKey',
      audit: 'KeyUpdate',
      method: 'PATCH',
      path: '/keys/:name/:version?',
      action: actions.update,
      kind: 'keys',
      schema: updateSchema,
      handle: async (call) => {
        const { version, body } = call;
        const patch = { ...choicesOf(body), ...attributesOf(body), version };
        return found(call, await keys.update(call.grant, patch));
      },
    }),
  ];
}

function rotationRoutes(rotation: KeyRotation): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'RotateKey',
      audit: 'KeyRotate',
      method: 'POST',
      path: '/keys/:name/rotate',
      since: '7.3',
      action: actions.rotate,
      kind: 'keys',
      handle: async (call) => found(call, await rotation.rotate(call.grant)),
    }),
    vaultRoute({
      operation: 'GetKeyRotationPolicy',
      audit: 'KeyRotationPolicyGet',
      method: 'GET',
      path: '/keys/:name/rotationpolicy',
      since: '7.3',
      action: actions.getRotationPolicy,
      kind: 'keys',
      handle: async (call) => policyReply(call, await rotation.getPolicy(call.grant)),
    }),
    vaultRoute({
      operation: 'UpdateKeyRotationPolicy',
      audit: 'KeyRotationPolicySet',
      method: 'PUT',
      path: '/keys/:name/rotationpolicy',
      since: '7.3',
      action: actions.setRotationPolicy,
      kind: 'keys',
      schema: rotationPolicySchema,
      handle: async (call) => {
        const { lifetimeActions, attributes } = call.body;
        const policy = { lifetimeActions, expiryTime: attributes?.expiryTime };
        return policyReply(call, await rotation.setPolicy(call.grant, policy));
      },
    }),
  ];
}

/** A policy that was never set has no id, and null for its attributes (recorded). */
function policyReply({ origin }: AnyCall, { name, policy, actions: lifetimeActions }: ShownPolicy): Reply {
  const id = `${origin}/keys/${name}/rotationpolicy`;
  if (policy === undefined) return { status: 200, body: { lifetimeActions, attributes: null }, id };
  const { expiry, created, updated } = policy;
  const attributes = { expiryTime: expiry?.text, created, updated };
  return { status: 200, body: { id, lifetimeActions, attributes }, id };
}

function found(call: AnyCall, key: Key): Reply {
  return { status: 200, body: keyWire(call, key), id: kidOf(call, key) };
}
