/** nginx as the upstream: one worker, no logs, a small fixed response from memory. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort, start, until } from "../test/fixtures/Processes.ts"

/** 66 bytes, as small as an API's answer gets. */
export const responseBody = `{"answer":"${"x".repeat(52)}"}\n`

const config = (directory: string, port: number): string => `daemon off;
pid ${directory}/pid;
error_log ${directory}/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 1h;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port};
    location / { default_type application/json; return 200 '${responseBody.trimEnd()}\\n'; }
  }
}
`

export interface Nginx {
  /** host:port */
  readonly address: string
  /** With SIGTERM: a killed master would leave its worker behind. */
  stop(): Promise<unknown>
}

/** Starts it with a config of its own; resolves once it answers. */
export const startNginx = async (nginx: string, directory: string): Promise<Nginx> => {
  mkdirSync(directory, { recursive: true })
  const port = await freePort()
  const path = join(directory, "nginx.conf")
  writeFileSync(path, config(directory, port))
  const running = start(nginx, ["-p", directory, "-c", path])
  await until("nginx answers", async () => {
    if (running.child.exitCode !== null) throw new Error(running.output())
    const text = await (await fetch(`http://127.0.0.1:${port}/`)).text()
    return text === responseBody ? true : undefined
  })
  return { address: `127.0.0.1:${port}`, stop: () => running.stop("SIGTERM") }
}
