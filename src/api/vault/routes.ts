/** Every operation of the vault data plane. */
import type {
  Certificates,
  Contacts,
  Issuers,
  PendingCertificates,
} from '../../domain/certificates/certificate-types.ts';
import type { KeyUse } from '../../domain/keys/key-use.ts';
import type { Keys } from '../../domain/keys/keys.ts';
import type { KeyRelease } from '../../domain/keys/release.ts';
import type { KeyRotation } from '../../domain/keys/rotation.ts';
import type { Secrets } from '../../domain/secrets/secrets.ts';
import type { VaultRoute } from '../route.ts';
import { certificateContactRoutes } from './certificate-contacts.ts';
import { certificateIssuerRoutes } from './certificate-issuers.ts';
import { certificateRoutes } from './certificates.ts';
import { keyUseRoutes } from './key-use.ts';
import { keyRoutes } from './keys.ts';
import { pendingCertificateRoutes } from './pending-certificates.ts';
import { secretRoutes } from './secrets.ts';

/** What the operations work with. */
export interface VaultNouns {
  readonly secrets: Secrets;
  readonly keys: {
    readonly keys: Keys;
    readonly use: KeyUse;
    readonly rotation: KeyRotation;
    readonly release: KeyRelease;
  };
  readonly certificates: {
    readonly certificates: Certificates;
    readonly pending: PendingCertificates;
    readonly issuers: Issuers;
    readonly contacts: Contacts;
  };
}

export function vaultRoutes({ secrets, keys, certificates }: VaultNouns): readonly VaultRoute[] {
  return [
    ...secretRoutes(secrets),
    ...keyRoutes(keys.keys, keys.rotation),
    ...keyUseRoutes(keys.use, keys.release),
    ...certificateRoutes(certificates.certificates),
    ...pendingCertificateRoutes(certificates.pending),
    ...certificateIssuerRoutes(certificates.issuers),
    ...certificateContactRoutes(certificates.contacts),
  ];
}
