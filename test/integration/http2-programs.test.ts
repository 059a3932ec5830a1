/** Programs that speak HTTP/2 with prior knowledge (node:http2, nghttpd), called by clients of either version. */
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import http from "node:http"
import http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
let a: Host
let port: number
const files = join(mesh.directory, "files")
const big = randomBytes(3 * 1024 * 1024)

/** What the program has seen and done. */
const seen = { sessions: 0, written: 0, read: 0, streams: 0, reset: -1 }
let readOn = (): void => undefined
const piece = Buffer.alloc(64 * 1024, 1)
const endless = 256 * 1024 * 1024

const answers: Readonly<
  Record<string, (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void>
> = {
  "/endless": (stream) => {
    stream.respond({ ":status": 200 })
    seen.written = 0
    const more = (): void => {
      while (seen.written < endless) {
        seen.written += piece.length
        if (stream.write(piece)) continue
        stream.once("drain", more)
        return
      }
      stream.end()
    }
    more()
  },
  "/sink": (stream) => {
    seen.read = 0
    readOn = () => stream.on("data", (chunk: Buffer) => (seen.read += chunk.length))
    stream.on("end", () => {
      stream.respond({ ":status": 200 })
      stream.end(String(seen.read))
    })
  },
  "/trailers": (stream) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true })
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "4" }))
    stream.end("body")
  },
  "/early": (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" })
    stream.respond({ ":status": 200 })
    stream.end("late")
  },
  "/hang": (stream) => {
    stream.on("close", () => {
      seen.reset = stream.rstCode
    })
  },
  "/broken": (stream) => {
    stream.respond({ ":status": 200 })
    stream.write("beginning")
    setImmediate(() => stream.destroy(new Error("broken")))
  },
  "/refused": (stream, headers) => {
    if (headers["x-again"] === undefined && seen.streams++ === 0) {
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
      return
    }
    stream.respond({ ":status": 200 })
    stream.end("taken")
  }
}

/** Takes two streams at a time, and refuses others that come before it could say so. */
const few = http2.createServer({ settings: { maxConcurrentStreams: 2 } })
const sessions = new Set<http2.ServerHttp2Session>()
few.on("session", (session) => sessions.add(session))
const app = http2.createServer()
app.on("session", () => seen.sessions++)
app.on("stream", (stream, headers) => {
  stream.on("error", () => undefined)
  const answer = answers[headers[":path"] ?? ""]
  if (answer !== undefined) {
    answer(stream, headers)
    return
  }
  let length = 0
  stream.on("data", (chunk: Buffer) => (length += chunk.length))
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/json" })
    stream.end(JSON.stringify({ ...headers, length }))
  })
})

beforeAll(async () => {
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve))
  const address = `127.0.0.1:${(app.address() as AddressInfo).port}` // it listens at a port
  const old = http.createServer((_, response) => response.end("HTTP/1.1"))
  await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve))
  const oldAddress = `127.0.0.1:${(old.address() as AddressInfo).port}` // as above
  few.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.on("error", () => undefined)
    stream.resume().on("end", () => {
      stream.respond({ ":status": 200 })
      stream.end("taken")
    })
  })
  await new Promise<void>((resolve) => few.listen(0, "127.0.0.1", resolve))
  const fewAddress = `127.0.0.1:${(few.address() as AddressInfo).port}` // as above
  const filesPort = await freePort()
  mkdirSync(files)
  writeFileSync(join(files, "big"), big)
  writeFileSync(join(files, "small"), "four")
  // Pads its frames, lets few streams in at a time, and ends what it sends with a trailer.
  start(program("nghttpd"), [
    ...["--no-tls", "-a", "127.0.0.1", "-d", files, "-b", "64", "-m", "5", "--echo-upload"],
    ...["--trailer", "x-sum: 4", "--no-content-length", String(filesPort)]
  ])
  port = await freePort()
  a = await mesh.first("host-a", {
    threads: 1,
    upstreams: [{ service: "web", listen: `127.0.0.1:${port}`, protocol: "http" }]
  })
  await mesh.join("host-b", {
    threads: 1,
    services: [
      { name: "web", address, protocol: "http2" },
      { name: "old", address: oldAddress, protocol: "http2" },
      { name: "few", address: fewAddress, protocol: "http2", health: { tcp: {} } },
      { name: "files", address: `127.0.0.1:${filesPort}`, protocol: "http2", health: { tcp: {} } }
    ]
  })
  await until("host-a sees web", async () =>
    (await fetch(`http://127.0.0.1:${port}/`)).status === 200 ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  app.close()
  few.close()
  await stopAll()
})

const curl = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { end, stderr, stdout } = await run(program("curl"), ["-sS", "--max-time", "20", ...args])
  if (end.code !== 0) throw new Error(stderr)
  return stdout
}

const connected = async (use: (client: http2.ClientHttp2Session) => Promise<void>) => {
  const client = http2.connect(`http://127.0.0.1:${port}`)
  await use(client)
  client.close()
}

describe("a program that takes few streams at a time", () => {
  it("is not sent more of them than it has said it takes", async () => {
    await until("host-a sees few", async () =>
      (await curl("-x", a.proxy, "http://few.mesh/")) === "taken" ? true : undefined
    )
    // Without a connection left it is one that has just been made, of which nothing is known.
    for (const session of sessions) session.close()
    const client = http2.connect(`http://${a.proxy}`)
    const answers = await Promise.all(
      Array.from(
        { length: 12 },
        () =>
          new Promise((resolve) => {
            const call = client.request({
              ":method": "POST",
              ":authority": "few.mesh",
              ":path": "/"
            })
            call.on("response", (headers) => resolve(headers[":status"])).on("error", resolve)
            call.resume().end("body")
          })
      )
    )
    client.close()
    expect(answers).toEqual(Array.from({ length: 12 }, () => 200))
  })
})

describe("clients of HTTP/1.1", () => {
  it("get what the program says, with its trailers and interim responses", async () => {
    const out: Record<string, unknown> = JSON.parse(
      await curl(
        "-H",
        "Cookie: a=1; b=2",
        "-H",
        "TE: trailers",
        "-H",
        "Connection: TE",
        `http://127.0.0.1:${port}/x?y`
      )
    )
    expect(out).toMatchObject({
      ":method": "GET",
      ":path": "/x?y",
      ":authority": `127.0.0.1:${port}`,
      cookie: "a=1; b=2",
      te: "trailers",
      via: "1.1 host-a"
    })
    expect(out).not.toHaveProperty("connection")
    expect(await curl("-i", "--raw", `http://127.0.0.1:${port}/trailers`)).toMatch(
      /^HTTP\/1.1 200 [\s\S]*4\r\nbody\r\n0\r\nx-sum: 4\r\n\r\n$/
    )
    expect(await curl("-i", `http://127.0.0.1:${port}/early`)).toMatch(
      /^HTTP\/1.1 103 [\s\S]*late$/
    )
    expect(await curl("-d", "12345", `http://127.0.0.1:${port}/`)).toContain('"length":5')
  })

  it("of gRPC are told what is left of their time, though the service is not called grpc", async () => {
    const fields = ["grpc-timeout: 20S", "skein-deadline: 5000"].flatMap((field) => ["-H", field])
    const told = JSON.parse(await curl(...fields, `http://127.0.0.1:${port}/x`))
    expect(told["grpc-timeout"]).toBe(`${told["skein-deadline"]}m`)
    expect(Number(told["skein-deadline"])).toBeLessThanOrEqual(5_000)
  })

  it("share one connection to the program", async () => {
    await Promise.all(Array.from({ length: 50 }, () => fetch(`http://127.0.0.1:${port}/`)))
    expect(seen.sessions).toBe(1)
  })

  it("are told when the program breaks off, and when it is none of HTTP/2", async () => {
    await expect(curl(`http://127.0.0.1:${port}/broken`)).rejects.toThrow(/transfer closed|reset/i)
    const old = await curl("-H", "Host: old.mesh", `http://${a.proxy}/`)
    expect(old).toContain("it answers as HTTP/1.1 does")
  })

  it("that leave are told to the program as cancelled", async () => {
    seen.reset = -1
    await expect(curl("--max-time", "0.5", `http://127.0.0.1:${port}/hang`)).rejects.toThrow()
    await until("the program hears of it", async () => (seen.reset >= 0 ? true : undefined))
    expect(seen.reset).toBe(http2.constants.NGHTTP2_CANCEL)
  })
})

describe("nghttpd", () => {
  const proxied = (...args: ReadonlyArray<string>): Promise<string> =>
    curl("-H", "Host: files.mesh", ...args)

  it("gives its files, with trailers, and takes uploads", async () => {
    const got = join(mesh.directory, "got")
    await until("host-a sees files", () => proxied("-f", `http://${a.proxy}/big`).then(() => true))
    await proxied("-o", got, `http://${a.proxy}/big`)
    expect(readFileSync(got).equals(big)).toBe(true)
    expect(await proxied("-i", "--raw", `http://${a.proxy}/small`)).toMatch(
      /4\r\nfour\r\n0\r\nx-sum: 4\r\n\r\n$/
    )
    await proxied("-o", got, "--data-binary", `@${join(files, "big")}`, `http://${a.proxy}/echo`)
    expect(readFileSync(got).equals(big)).toBe(true)
    expect(await proxied("-o", "/dev/null", "-w", "%{http_code}", `http://${a.proxy}/none`)).toBe(
      "404"
    )
  })

  it("answers its own client on many streams of one connection", async () => {
    const { end, stdout } = await run(program("nghttp"), [
      ...["-n", "-s", "-m", "20", "-H", ":authority: files.mesh", `http://${a.proxy}/big`]
    ])
    expect(end.code, end.output).toBe(0)
    // The table of what was asked for: how long, with which status, how much.
    expect(stdout.match(/ 200 +3M \/big\n/g)).toHaveLength(20)
  })
})

describe("a stream that the program refuses", () => {
  it("is asked for again, whatever its method", async () => {
    seen.streams = 0
    expect(await curl("-X", "POST", `http://127.0.0.1:${port}/refused`)).toBe("taken")
  })
})

describe("back-pressure", () => {
  /** Of the node that has most, MiB. */
  const memory = (): number =>
    Math.max(
      ...mesh.hosts.map(({ process }) => {
        const text = readFileSync(`/proc/${process?.child.pid}/status`, "utf8")
        return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) / 1024
      })
    )
  /** When a number has not changed for a while. */
  const still = async (value: () => number): Promise<number> => {
    let before = -1
    await until("it stands still", async () => {
      const now = value()
      const isStill = now > 0 && now === before
      before = now
      await new Promise((resolve) => setTimeout(resolve, 300))
      return isStill ? true : undefined
    })
    return before
  }

  it("stops the program when the client does not read, and nobody else", async () => {
    const before = memory()
    await connected(async (client) => {
      const stream = client.request({ ":path": "/endless" })
      await new Promise((resolve) => stream.once("response", resolve))
      expect(await still(() => seen.written)).toBeLessThan(8 * 1024 * 1024)
      expect(memory() - before).toBeLessThan(100)
      const other = client.request({ ":path": "/" })
      await new Promise((resolve) => other.once("response", resolve))
      other.resume()
      let read = 0
      for await (const chunk of stream) read += (chunk as Buffer).length // no encoding is set
      expect(read).toBe(endless)
      expect(memory() - before).toBeLessThan(150)
    })
  })

  it("stops the client when the program does not read, and nobody else", async () => {
    await connected(async (client) => {
      const stream = client.request({ ":path": "/sink", ":method": "POST" })
      let written = 0
      const more = (): void => {
        while (written < endless) {
          written += piece.length
          if (stream.write(piece)) continue
          stream.once("drain", more)
          return
        }
        stream.end()
      }
      more()
      expect(await still(() => written)).toBeLessThan(8 * 1024 * 1024)
      const other = client.request({ ":path": "/" })
      await new Promise((resolve) => other.once("response", resolve))
      other.resume()
      readOn()
      let answer = ""
      stream.setEncoding("utf8")
      for await (const chunk of stream) answer += chunk
      expect(answer).toBe(String(endless))
    })
  })
})
