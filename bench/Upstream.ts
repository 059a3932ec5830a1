/**
 * nginx as the upstream: one worker, no logs, answers of every size the questions ask for. Uploads
 * it hands to a sink behind it.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort, start, until } from "../test/fixtures/Processes.ts"
import { nginxConfig } from "./NginxConfig.ts"
import { ProcessTree } from "./ProcessTree.ts"
import { expectAnswer } from "./peers/Speech.ts"
import { paths, responseBody, sizeOf } from "./UpstreamPaths.ts"

/** What nginx as an upstream can be spoken to in. */
type NginxSpeech = "http1" | "http2"

const config = (directory: string, port: number, sink: number, speech: NginxSpeech): string =>
  nginxConfig(
    directory,
    `  open_file_cache max=10 inactive=1h;
  server {
    listen 127.0.0.1:${port}${speech === "http2" ? " http2" : ""} backlog=16384;
    root ${directory}/files;
    default_type application/octet-stream;
    client_max_body_size 0;
    location = ${paths.sink} {
      proxy_pass http://127.0.0.1:${sink};
      proxy_http_version 1.1;
      proxy_request_buffering off;
    }
    location = ${paths.small} { default_type application/json; return 200 '${responseBody.trimEnd()}\\n'; }
  }`
  )

const sinkProgram = join(import.meta.dirname, "load", "SinkProgram.ts")

/** No disk is used up or read: the file is one hole. */
const makeSparse = (path: string, bytes: number): void => {
  const file = openSync(path, "w")
  ftruncateSync(file, bytes)
  closeSync(file)
}

const makeFiles = (directory: string): void => {
  mkdirSync(directory, { recursive: true })
  for (const path of [paths.kib16, paths.mib1]) {
    writeFileSync(join(directory, path), Buffer.alloc(sizeOf(path), "x"))
  }
  for (const path of [paths.mib128, paths.gib1]) makeSparse(join(directory, path), sizeOf(path))
}

export interface Upstream {
  /** host:port */
  readonly address: string
  readonly tree: ProcessTree
  /** A file to upload. */
  readonly gibibyteFile: string
  /** With SIGTERM: a killed master would leave its worker behind. */
  stop(): Promise<unknown>
}

/** Starts it with a config of its own; resolves once it answers. */
export const startUpstream = async (
  nginx: string,
  directory: string,
  speech: NginxSpeech = "http1"
): Promise<Upstream> => {
  makeFiles(join(directory, "files"))
  const port = await freePort()
  const sinkPort = await freePort()
  const sink = start(process.execPath, [sinkProgram], {
    env: { SINK_PORT: String(sinkPort) },
    what: "the sink of uploads"
  })
  const path = join(directory, "nginx.conf")
  writeFileSync(path, config(directory, port, sinkPort, speech))
  const running = start(nginx, ["-p", directory, "-c", path], { what: "nginx as the upstream" })
  const { pid } = running.child
  await until(
    "nginx answers",
    async () => {
      await expectAnswer(`127.0.0.1:${port}`, "bench.mesh", speech)
      return true
    },
    20,
    [running, sink]
  )
  if (pid === undefined) throw new Error("nginx did not start")
  return {
    address: `127.0.0.1:${port}`,
    tree: new ProcessTree(pid),
    gibibyteFile: join(directory, "files", paths.gib1),
    stop: () => Promise.all([running.stop("SIGTERM"), sink.stop("SIGTERM")])
  }
}
