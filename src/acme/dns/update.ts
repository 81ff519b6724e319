/** Publishes TXT records by dynamic update (RFC 2136), signed with TSIG, at the server that the operator named. */
import { decode, encode, type Packet, type RecordType } from 'dns-packet';
import { type Clock, unixSeconds } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import { OrderPostponed } from '../../domain/certificates/issuer-provider.ts';
import type { DnsPublisher } from '../solvers.ts';
import { askDns, type DnsServer, NoDnsReply } from './exchange.ts';
import { assertSigned, signMessage, type TsigKey, TsigRefused, wireName } from './tsig.ts';

export interface DnsUpdateOptions {
  readonly server: DnsServer;
  readonly key: TsigKey;
  /** The zone of all records; undefined to ask the server which zone a name is in. */
  readonly zone?: string | undefined;
}

interface DnsUpdateDeps {
  readonly clock: Clock;
  readonly random: Random;
}

const updateFlags = 5 << 11;
const classNone = 254;
/** Seconds: nobody needs to remember it for longer than the authority looks. */
const ttl = 60;
const rcodes: readonly string[] = [
  ...['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'],
  ...['YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE'],
];

export function createDnsUpdater(deps: DnsUpdateDeps, options: DnsUpdateOptions): DnsPublisher {
  const send = (action: 'add' | 'remove') => async (record: { fqdn: string; value: string }) => {
    try {
      const zone = options.zone ?? (await zoneOf(deps, options, record.fqdn));
      const reply = await ask(deps, options, (id) => updateMessage(action, { id, zone, ...record }));
      if (reply.rcode !== 0)
        throw new NoDnsReply(`The DNS server refused the update: ${rcodeName(reply.rcode)}.`);
    } catch (error) {
      throw asPostponed(error);
    }
  };
  return { present: send('add'), remove: send('remove') };
}

interface Reply {
  readonly rcode: number;
  readonly packet: ReturnType<typeof decode>;
}

/** Signed, and the answer checked: nobody on the way can say what the server did not. */
async function ask(
  { clock, random }: DnsUpdateDeps,
  { server, key }: DnsUpdateOptions,
  message: (id: number) => Buffer,
): Promise<Reply> {
  const [high = 0, low = 0] = random.bytes(2);
  const id = (high << 8) | low;
  const { signed, mac } = signMessage(message(id), key, unixSeconds(clock.now()));
  const answer = await askDns(clock, server, signed);
  const packet = decode(answer);
  const flags = answer.readUInt16BE(2);
  if (packet.id !== id || flags >> 15 !== 1) throw new NoDnsReply('The DNS server answered something else.');
  const rcode = flags & 15;
  try {
    assertSigned(answer, key, { mac, now: unixSeconds(clock.now()) });
  } catch (error) {
    // A server that does not let us in says so unsigned; that is all that such an answer is good for.
    if (rcode === 0 || !(error instanceof TsigRefused)) throw error;
    throw new NoDnsReply(`The DNS server refused: ${rcodeName(rcode)}; ${error.message}.`, { cause: error });
  }
  return { rcode, packet };
}

/** RFC 2136 §2.5.1 and §2.5.4: one value is added or removed; others of the name are another order's. */
function updateMessage(
  action: 'add' | 'remove',
  { id, zone, fqdn, value }: { id: number; zone: string; fqdn: string; value: string },
): Buffer {
  const packet: Packet = {
    type: 'query',
    id,
    flags: updateFlags,
    questions: [{ name: zone, type: 'SOA' }],
    authorities: [{ name: fqdn, type: 'TXT', ttl: action === 'add' ? ttl : 0, data: value }],
  };
  const message = encode(packet);
  // The library has no word for class NONE: it is written over the class of the one record, behind the type.
  if (action === 'remove') {
    const header = 12;
    const question = wireName(zone).length + 4;
    message.writeUInt16BE(classNone, header + question + wireName(fqdn).length + 2);
  }
  return message;
}

/** The zone that the name is in, as this server says it: the owner of the SOA record that its answer has. */
async function zoneOf(deps: DnsUpdateDeps, options: DnsUpdateOptions, fqdn: string): Promise<string> {
  const { rcode, packet } = await ask(deps, options, (id) =>
    encode({ type: 'query', id, questions: [{ name: fqdn, type: 'SOA' }] }),
  );
  const isSoa = ({ type }: { type: RecordType }) => type === 'SOA';
  const soa = [...(packet.answers ?? []), ...(packet.authorities ?? [])].find(isSoa);
  const zone = soa?.name.toLowerCase() ?? '';
  const isAbove = zone !== '' && (fqdn === zone || fqdn.endsWith(`.${zone}`));
  // NXDOMAIN is usual: the name is to be made.
  if ((rcode !== 0 && rcode !== 3) || !isAbove) {
    throw new NoDnsReply(
      `The DNS server has no zone for ${fqdn}. The setting 'acme.dns01.rfc2136.zone' can name it.`,
    );
  }
  return zone;
}

function rcodeName(rcode: number): string {
  return rcodes[rcode] ?? `code ${rcode}`;
}

function asPostponed(error: unknown): OrderPostponed {
  const message =
    error instanceof NoDnsReply
      ? error.message
      : error instanceof TsigRefused
        ? `The DNS update is not accepted: ${error.message}.`
        : 'The DNS server answered what is no DNS message.';
  return new OrderPostponed('dnsUpdate', message, { cause: error });
}
