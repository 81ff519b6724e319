/** One operation of an operator's command, as a row, and what it works on. */
import type * as v from 'valibot';
import type { RoleAssignmentStore } from '../../authorization/role-assignments.ts';
import type { RoleDefinitionStore } from '../../authorization/role-definitions.ts';
import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { Subscription, Tenant } from '../../domain/resources/directory-store.ts';
import type { Vaults } from '../../domain/vaults/vaults.ts';
import type { SecretHasher } from '../../identity/client-secrets.ts';
import type { PrincipalStore } from '../../identity/principals.ts';

export interface ControlDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly tenant: Tenant;
  readonly subscription: Subscription;
  readonly vaults: Vaults;
  readonly vaultUri: (name: string) => string;
  readonly principals: PrincipalStore;
  readonly hasher: SecretHasher;
  readonly assignments: RoleAssignmentStore;
  readonly definitions: Pick<RoleDefinitionStore, 'byIds' | 'list'>;
  readonly addSecret: (input: { objectId: string; expires: number }) => Promise<{
    credential: { keyId: string; hint: string; expires: number };
    secret: SecretBytes;
  }>;
  readonly removeSecret: (input: { objectId: string; keyId: string }) => Promise<void>;
  readonly rotateVaultKey: (vaultId: string) => Promise<{ version: number; moved: number }>;
  readonly rotateRootKey: () => Promise<{ keyId: string; moved: number }>;
  readonly protectRootKey: (passphrase: string | undefined) => Promise<{ protector: string }>;
  readonly rotateSigningKey: (revoke: boolean) => Promise<void>;
  readonly verifyAudit: () => Promise<object>;
  readonly status: () => Promise<object>;
  readonly clientEnvironment: () => Promise<object>;
}

/** One operation: its input's shape and what it does. Answers are plain JSON. */
export interface ControlOperation {
  /** The audit record's operationName; undefined for one that changes and reveals nothing. */
  readonly audit: string | undefined;
  readonly input: v.GenericSchema;
  readonly run: (deps: ControlDeps, input: never) => Promise<object>;
}

/** Makes a row, tying the operation's input to its schema. */
export function operation<S extends v.GenericSchema>(row: {
  audit?: string;
  input: S;
  run: (deps: ControlDeps, input: v.InferOutput<S>) => Promise<object>;
}): ControlOperation {
  return { audit: row.audit, input: row.input, run: row.run };
}
