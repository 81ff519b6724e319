import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port of the address that nobody has now. Rejects where the address is not this machine's. */
export async function freePort(address: string): Promise<number> {
  const server = createServer();
  server.listen({ host: address, port: 0, exclusive: true });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
