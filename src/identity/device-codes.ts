/**
 * Device codes (RFC 8628): a client without a browser polls with one code while the user types another one elsewhere,
 * signs in there and agrees.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import { grantId, type LoginGrant, type LoginGrantStore, newHolding } from './login-grants.ts';

/** What a client asked for. */
export interface DeviceSubject {
  readonly clientId: string;
  /** Undefined where the client named no tenant. */
  readonly tenantId: string | undefined;
  readonly scope: string;
}

export interface DeviceCode {
  readonly deviceCode: string;
  readonly userCode: string;
  /** Seconds. */
  readonly expiresIn: number;
  readonly interval: number;
}

/** A request that waits for its user. */
export interface PendingDevice extends DeviceSubject {
  readonly grant: LoginGrant;
}

/** A request that its user has agreed to. */
export interface ApprovedDevice extends DeviceSubject {
  readonly objectId: string;
  /** Key id of the password that the user signed in with. */
  readonly passwordId: string;
  readonly grant: LoginGrant;
}

export interface DeviceCodes {
  begin(subject: DeviceSubject): Promise<DeviceCode>;
  /** The request that waits under what a user typed; undefined if there is none, or none any more. */
  find(userCode: string): Promise<PendingDevice | undefined>;
  /** The user agrees; without a user, declines. False if it does not wait any more. */
  decide(
    pending: PendingDevice,
    user: { objectId: string; passwordId: string } | undefined,
  ): Promise<boolean>;
  /**
   * What the client's polling gets: fails with `authorizationPending`, `slowDown`, `expiredToken`,
   * `authorizationDeclined`, or `invalidGrant` for a code that is not the client's.
   */
  poll(deviceCode: string, clientId: string): Promise<ApprovedDevice>;
}

/** Entra ID's: 15 minutes, polled each 5 seconds. */
const lifetime = 15 * 60_000;
const interval = 5;
/** Milliseconds between two polls that are let pass: clients count their 5 seconds less exactly than this clock. */
const shortestPause = 3_500;

/** RFC 8628 §6.1: without vowels, so that no words come of it, and without digits; 9 letters are 38 bits. */
const alphabet = 'BCDFGHJKLMNPQRSTVWXZ';
const userCodeLength = 9;

interface Detail extends DeviceSubject {
  readonly state: 'pending' | 'approved' | 'declined';
  /** Of the user who agreed. */
  readonly passwordId?: string;
  readonly polled?: number;
}

export function createDeviceCodes(deps: {
  store: LoginGrantStore;
  clock: Clock;
  random: Random;
}): DeviceCodes {
  const { store, clock, random } = deps;

  /** Answers whether the grant was still what it was. */
  const change = (was: LoginGrant, detail: Partial<Detail>, more: Partial<LoginGrant> = {}) =>
    store.exchange({
      from: { was, becomes: { ...was, ...more, detail: { ...was.detail, ...detail } } },
      adds: [],
    });

  return {
    async begin({ clientId, tenantId, scope }) {
      const deviceCode = newHolding(random);
      const userCode = newUserCode(random);
      const created = clock.now();
      const detail: Detail = {
        clientId,
        scope,
        state: 'pending',
        tenantId,
      };
      await store.addOnce({
        id: grantId('device', deviceCode),
        kind: 'device',
        family: userCodeId(userCode),
        objectId: undefined,
        detail,
        created,
        expires: created + lifetime,
        used: undefined,
      });
      return { deviceCode, userCode, expiresIn: lifetime / 1000, interval };
    },

    async find(userCode) {
      const grant = await store.byFamily('device', userCodeId(userCode));
      if (grant === undefined || clock.now() >= grant.expires) return undefined;
      const { state, clientId, tenantId, scope } = grant.detail as Detail;
      return state === 'pending' ? { grant, clientId, tenantId, scope } : undefined;
    },

    async decide(pending, user) {
      // The client's polling changes the grant too: it is read again until no poll came between.
      for (let grant: LoginGrant | undefined = pending.grant; grant !== undefined; ) {
        if ((grant.detail as Detail).state !== 'pending') return false;
        const decided =
          user === undefined
            ? await change(grant, { state: 'declined' })
            : await change(
                grant,
                { state: 'approved', passwordId: user.passwordId },
                { objectId: user.objectId },
              );
        if (decided) return true;
        grant = await store.byId(grant.id);
      }
      return false;
    },

    async poll(deviceCode, clientId) {
      const grant = await store.byId(grantId('device', deviceCode));
      if (grant === undefined) throw invalidCode();
      const { state, polled, passwordId, ...subject } = grant.detail as Detail;
      if (subject.clientId !== clientId || grant.used !== undefined) throw invalidCode();
      const now = clock.now();
      if (now >= grant.expires) {
        throw new Failure(
          'expiredToken',
          'AADSTS70019: Verification code expired. Have the user retry the sign-in.',
        );
      }
      if (state === 'declined') {
        throw new Failure('authorizationDeclined', 'AADSTS70018: The user declined the sign-in.');
      }
      if (state === 'approved' && grant.objectId !== undefined && passwordId !== undefined) {
        return { ...subject, tenantId: subject.tenantId, objectId: grant.objectId, passwordId, grant };
      }
      if (polled !== undefined && now < polled + shortestPause) {
        throw new Failure('slowDown', `The client polls more often than each ${interval} seconds.`);
      }
      // If it was decided meanwhile, the next poll will tell.
      await change(grant, { polled: now });
      throw new Failure(
        'authorizationPending',
        'AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling.',
      );
    },
  };
}

function newUserCode(random: Random): string {
  let code = '';
  while (code.length < userCodeLength) {
    for (const byte of random.bytes(userCodeLength)) {
      // Bytes beyond the largest multiple of 20 would make the first letters likelier.
      if (byte < 240 && code.length < userCodeLength) code += alphabet[byte % alphabet.length] ?? '';
    }
  }
  return code;
}

/** By what people type: case, spaces and hyphens do not count. */
function userCodeId(userCode: string): string {
  return grantId('device', `user:${userCode.toUpperCase().replace(/[\s-]/g, '')}`);
}

function invalidCode(): Failure {
  return new Failure('invalidGrant', 'AADSTS70000: The provided device code is not valid for this client.');
}
