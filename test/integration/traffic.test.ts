/** Clients and programs nobody here wrote, through two nodes. */
import { createHash, randomBytes } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp, tcpEchoApp } from "../fixtures/Apps.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const apps: Array<App> = []
let a: Host
let b: Host
let httpPort: number
let tcpPort: number
const big = randomBytes(8 * 1024 * 1024)

const curl = (...args: ReadonlyArray<string>) =>
  run(program("curl"), ["-sS", "--max-time", "20", ...args])

beforeAll(async () => {
  const echo = await httpApp("echo")
  const tcp = await tcpEchoApp()
  apps.push(echo, tcp)
  const files = join(mesh.directory, "files")
  mkdirSync(files)
  writeFileSync(join(files, "big.bin"), big)
  const pythonPort = await freePort()
  start(program("python3"), [
    ...["-m", "http.server", String(pythonPort), "--bind", "127.0.0.1", "--directory", files]
  ])
  const nginxPort = await freePort()
  const nginxDirectory = join(mesh.directory, "nginx")
  mkdirSync(nginxDirectory)
  writeFileSync(
    join(nginxDirectory, "nginx.conf"),
    // One process: a killed master would leave its worker behind.
    `daemon off; master_process off; pid ${nginxDirectory}/pid; error_log ${nginxDirectory}/error.log;
     events {} http { access_log off; client_body_temp_path ${nginxDirectory}/body;
     server { listen 127.0.0.1:${nginxPort}; root ${files}; } }`
  )
  start(program("nginx"), ["-p", nginxDirectory, "-c", join(nginxDirectory, "nginx.conf")])
  httpPort = await freePort()
  tcpPort = await freePort()
  a = await mesh.first("host-a", {
    upstreams: [
      { service: "echo", listen: `127.0.0.1:${httpPort}`, protocol: "http" },
      { service: "bytes", listen: `127.0.0.1:${tcpPort}`, protocol: "tcp" }
    ]
  })
  b = await mesh.join("host-b", {
    services: [
      { name: "echo", address: echo.address, health: { http: { path: "/healthz" } } },
      { name: "bytes", address: tcp.address, protocol: "tcp" },
      { name: "python", address: `127.0.0.1:${pythonPort}`, health: { tcp: {} } },
      { name: "nginx", address: `127.0.0.1:${nginxPort}`, health: { tcp: {} } }
    ]
  })
  for (const name of ["echo", "python", "nginx"]) {
    await until(`${name} reachable from host-a`, async () => {
      const { stdout } = await curl(
        ...["-o", "/dev/null", "-w", "%{http_code}", "-x", a.proxy, `http://${name}.mesh/`]
      )
      return stdout === "200" || stdout === "403" ? true : undefined
    })
  }
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

describe("calling services", () => {
  it("curl -x: absolute form", async () => {
    const { stdout } = await curl("-x", a.proxy, "http://echo.mesh/x?y=1")
    expect(JSON.parse(stdout)).toMatchObject({ app: "echo", method: "GET", url: "/x?y=1" })
  })

  it("curl -H Host: by Host", async () => {
    const { stdout } = await curl("-H", "Host: echo.mesh", `http://${a.proxy}/h`)
    expect(JSON.parse(stdout)).toMatchObject({ url: "/h", headers: { host: "echo.mesh" } })
  })

  it("HTTP_PROXY with a Python program", async () => {
    const script =
      "import urllib.request,sys; r=urllib.request.Request('http://echo.mesh/py',data=b'hello'); sys.stdout.write(urllib.request.urlopen(r).read().decode())"
    const { stdout, stderr } = await run(program("python3"), ["-c", script], {
      env: { http_proxy: `http://${a.proxy}`, HTTP_PROXY: `http://${a.proxy}` }
    })
    expect(stderr).toBe("")
    expect(JSON.parse(stdout)).toMatchObject({ method: "POST", url: "/py", body: "hello" })
  })

  it("a fixed local HTTP port", async () => {
    const { stdout } = await curl(`http://127.0.0.1:${httpPort}/fixed`)
    expect(JSON.parse(stdout)).toMatchObject({ app: "echo", url: "/fixed" })
  })

  it("a fixed local TCP port, with half-close", async () => {
    const sent = randomBytes(3 * 1024 * 1024)
    const received = await new Promise<Buffer>((resolve, reject) => {
      const chunks: Array<Buffer> = []
      const socket = connect({ port: tcpPort, host: "127.0.0.1", allowHalfOpen: true })
      socket.on("data", (chunk) => chunks.push(chunk))
      socket.on("end", () => resolve(Buffer.concat(chunks)))
      socket.on("error", reject)
      socket.end(sent)
    })
    expect(received.equals(sent)).toBe(true)
  })

  it.each(["python", "nginx"])("an 8 MiB file from %s, byte for byte", async (name) => {
    const digest = await new Promise<string>((resolve, reject) => {
      const hash = createHash("sha256")
      const child = start(program("curl"), ["-sS", "-x", a.proxy, `http://${name}.mesh/big.bin`])
      child.child.stdout?.on("data", (chunk: Buffer) => hash.update(chunk))
      child.child.on("close", () => resolve(hash.digest("hex")))
      child.child.on("error", reject)
    })
    expect(digest).toBe(createHash("sha256").update(big).digest("hex"))
  })

  it("HEAD has the length and no body", async () => {
    const { stdout } = await curl("-I", "-x", a.proxy, "http://nginx.mesh/big.bin")
    expect(stdout).toMatch(/^HTTP\/1.1 200/)
    expect(stdout.toLowerCase()).toContain(`content-length: ${big.length}`)
  })

  it("a chunked upload that waits for 100 Continue", async () => {
    const { stdout, stderr } = await run(
      program("curl"),
      [
        ...["-sSv", "--max-time", "20", "-x", a.proxy, "-H", "Transfer-Encoding: chunked"],
        ...["-H", "Expect: 100-continue", "--data-binary", "@-", "http://echo.mesh/up"]
      ],
      { input: "z".repeat(300_000) }
    )
    expect(stderr).toContain("100 Continue")
    expect(JSON.parse(stdout).body).toHaveLength(300_000)
  })

  it("tells the endpoint who asked", async () => {
    const { stdout } = await curl("-x", a.proxy, "http://echo.mesh/")
    const { headers } = JSON.parse(stdout)
    expect(headers["x-forwarded-for"]).toContain("127.0.0.1")
    expect(headers["x-forwarded-host"] ?? headers.host).toBe("echo.mesh")
  })
})

describe("what the mesh answers itself", () => {
  const headersOf = async (...args: ReadonlyArray<string>) => (await curl("-i", ...args)).stdout

  it("a name nobody offers: 404 with code, node and hint", async () => {
    const answer = await headersOf("-x", a.proxy, "http://nobody.mesh/")
    expect(answer).toMatch(/^HTTP\/1.1 404/)
    expect(answer).toMatch(/skein-error: route_not_found/i)
    expect(answer).toMatch(/skein-node: host-a/i)
    const body = JSON.parse(answer.slice(answer.indexOf("{")))
    expect(body).toMatchObject({ code: "route_not_found", service: "nobody", node: "host-a" })
    expect(body.hint).not.toBe("")
  })

  it("an ambiguous request: 400", async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const [host, port] = a.proxy.split(":")
      const socket = connect(Number(port), host)
      let text = ""
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1")
      })
      socket.on("close", () => resolve(text))
      socket.on("error", reject)
      socket.write(
        "POST / HTTP/1.1\r\nHost: echo.mesh\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"
      )
    })
    expect(answer).toMatch(/^HTTP\/1.1 400/)
    expect(answer).toMatch(/skein-error: bad_request/i)
  })

  it("an endpoint that went away: 503, then back once it is healthy again", async () => {
    const app = await httpApp("brief")
    b.options = {
      ...b.options,
      services: [...(b.options.services ?? []), { name: "brief", address: app.address }]
    }
    b.writeConfig()
    b.process?.child.kill("SIGHUP")
    await until("brief is known on host-a", async () =>
      (await curl("-f", "-x", a.proxy, "http://brief.mesh/")).code === 0 ? true : undefined
    )
    await app.close()
    const answer = await headersOf("-x", a.proxy, "http://brief.mesh/")
    expect(answer).toMatch(/^HTTP\/1.1 503/)
    expect(answer).toMatch(/skein-error: (upstream_connect|no_healthy_endpoint)/i)
    expect(answer).toMatch(/skein-node: host-[ab]/i)
  })
})
