/** Proves what the webhook is sent, whom it is sent to, and that its failures postpone the order. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { manualClock } from '../../../test/support/identity.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { OrderPostponed } from '../../domain/certificates/issuer-provider.ts';
import { createDnsWebhook } from './webhook.ts';

const record = { fqdn: '_acme-challenge.www.example.com', value: 'v'.repeat(43) };
const token = SecretBytes.fromText('the-token');

let server: Server | undefined;
afterEach(async () => {
  const open = server;
  server = undefined;
  open?.closeAllConnections();
  await new Promise((resolve) => (open === undefined ? resolve(undefined) : open.close(resolve)));
});

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** Answers with the status and the headers; undefined for no answer at all. */
async function serve(
  status: number | undefined,
  headers: Record<string, string> = {},
): Promise<{ url: string; received: Received[]; asked: Promise<void> }> {
  const received: Received[] = [];
  let heard: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    heard = resolve;
  });
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      const { method, url } = request;
      received.push({ method, url, headers: request.headers, body: JSON.parse(text) });
      heard();
      if (status !== undefined) response.writeHead(status, headers).end('done');
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dns`, received, asked };
}

it('is posted each record, with the token', async () => {
  const { url, received } = await serve(204);
  const webhook = createDnsWebhook(manualClock(), { url, token });
  await webhook.present(record);
  await webhook.remove(record);
  expect(received.map(({ body }) => body)).toEqual([
    { action: 'present', ...record },
    { action: 'cleanup', ...record },
  ]);
  for (const { method, url: path, headers } of received) {
    expect({ method, path }).toEqual({ method: 'POST', path: '/dns' });
    expect(headers).toMatchObject({ authorization: 'Bearer the-token', 'content-type': 'application/json' });
  }
});

it.each([301, 400, 401, 404, 500, 503])('postpones the order by status %i', async (status) => {
  const { url, received } = await serve(status, { location: '/elsewhere' });
  const failing = createDnsWebhook(manualClock(), { url, token }).present(record);
  await expect(failing).rejects.toMatchObject({
    name: 'OrderPostponed',
    code: 'dnsUpdate',
    message: `The DNS webhook answered with status ${status}.`,
  });
  expect(received).toHaveLength(1);
});

it('is not waited for without end', async () => {
  const clock = manualClock();
  const { url, asked } = await serve(undefined);
  const failing = createDnsWebhook(clock, { url, token })
    .present(record)
    .catch((error: unknown) => error);
  await asked;
  clock.advance(30_000);
  const error = await failing;
  expect(error).toBeInstanceOf(OrderPostponed);
  expect(error).toMatchObject({ message: expect.stringContaining('no answer in time') });
});

it('gets no token over plain HTTP beyond this machine', async () => {
  for (const url of ['http://webhook.example/dns', 'http://127.0.0.1.example/dns', 'ftp://127.0.0.1/dns']) {
    const failing = createDnsWebhook(manualClock(), { url, token }).present(record);
    await expect(failing, url).rejects.toThrow(/neither HTTPS nor on this machine/);
  }
});
