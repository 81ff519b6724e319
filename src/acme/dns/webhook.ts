/** Has a service of the operator's publish TXT records: one POST per record, with a bearer token. */
import type { Clock } from '../../core/clock.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { OrderPostponed } from '../../domain/certificates/issuer-provider.ts';
import { NoReply, openHttp } from '../https.ts';
import type { DnsPublisher } from '../solvers.ts';

export interface DnsWebhookOptions {
  /** HTTPS, or HTTP on this machine. */
  readonly url: string;
  readonly token: SecretBytes;
  /** PEM: whose servers are trusted, instead of those that Node.js trusts. */
  readonly ca?: string | undefined;
}

/** Nobody reads what the service says. */
const limits = { perRequest: 30_000, altogether: 30_000, longestBody: 64 * 1024 };

/** Posts `{"action":"present"|"cleanup","fqdn":…,"value":…}`; any 2xx says that it is done. */
export function createDnsWebhook(clock: Clock, { url, token, ca }: DnsWebhookOptions): DnsPublisher {
  const post = (action: 'present' | 'cleanup') => async (record: { fqdn: string; value: string }) => {
    const { fqdn, value } = record;
    const http = openHttp(clock, { ca, limits });
    try {
      const reply = await http.exchange({
        method: 'POST',
        url: new URL(url),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token.exposeText()}` },
        body: JSON.stringify({ action, fqdn, value }),
      });
      if (reply.status >= 200 && reply.status < 300) return;
      throw new OrderPostponed('dnsUpdate', `The DNS webhook answered with status ${reply.status}.`);
    } catch (error) {
      if (!(error instanceof NoReply)) throw error;
      throw new OrderPostponed('dnsUpdate', `The DNS webhook failed. ${error.message}`, { cause: error });
    } finally {
      http.close();
    }
  };
  return { present: post('present'), remove: post('cleanup') };
}
