import { describe, expect, it } from "vitest"
import { noFields } from "../model/Exchange.ts"
import { done, lend } from "../model/Loan.ts"
import { httpCall, responseHead, ScriptedCallee, someFault } from "../testing/ScriptedCallee.ts"
import type { MeshAnswer } from "./MeshAnswer.ts"
import { MeshFault } from "./MeshFault.ts"
import { exchangeToAnswer, type RequestBody } from "./WebExchange.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const begin = (options: { method?: string; body?: RequestBody; signal?: AbortSignal } = {}) => {
  const callee = new ScriptedCallee()
  const { method = "GET", body, signal = new AbortController().signal } = options
  const response = exchangeToAnswer(callee.dispatch, httpCall(method), body, signal)
  return { callee, response }
}

const answered = async (
  callee: ScriptedCallee,
  response: Promise<MeshAnswer>
): Promise<MeshAnswer> => {
  callee.receiver.onHead(responseHead(200))
  return response
}

/** A body that tells whether its source was told to stop. */
const source = (chunks: ReadonlyArray<Uint8Array>, more = false) => {
  const seen = { pulled: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[seen.pulled++]
        if (chunk !== undefined) controller.enqueue(chunk)
        else if (!more) controller.close()
        else return new Promise(() => {})
      },
      cancel() {
        seen.cancelled = true
      }
    },
    { highWaterMark: 0 }
  )
  return { body, seen }
}

describe("the response", () => {
  it("has status, fields in order, repeated ones and the length", async () => {
    const { callee, response } = begin()
    const fields = ["set-cookie", "a=1", "Set-Cookie", "b=2", "x-name", "é"]
    callee.receiver.onHead(responseHead(201, fields, { kind: "length", length: 2 }))
    callee.receiver.onData(bytes("ok"))
    callee.receiver.onEnd(noFields)
    const { status, headers } = await response
    expect(status).toBe(201)
    expect(headers.getSetCookie()).toEqual(["a=1", "b=2"])
    expect(headers.get("x-name")).toBe("é")
    expect(headers.get("content-length")).toBe("2")
    expect(await (await response).text()).toBe("ok")
  })

  it("keeps its bytes for all who read it, though one of them passes them on", async () => {
    const { callee, response } = begin()
    const [one, other] = (await answered(callee, response)).web.clone().body?.tee() ?? []
    const chunk = new Uint8Array(20_000).fill(7)
    lend(chunk)
    callee.receiver.onData(chunk)
    callee.receiver.onEnd(noFields)
    const first = await one?.getReader().read()
    if (first?.value === undefined) throw new Error("nothing was read")
    // As who has sent them to somebody else.
    done(first.value)
    expect(await new Response(other).bytes()).toEqual(new Uint8Array(20_000).fill(7))
  })

  it("has the protocol that a 426 demands", async () => {
    const { callee, response } = begin()
    callee.receiver.onHead({ ...responseHead(426), upgrade: "websocket" })
    expect((await response).headers.get("upgrade")).toBe("websocket")
  })

  it("resumes once for each time it said enough, and never before", async () => {
    const { callee, response } = begin()
    const { body } = await answered(callee, response)
    const reader = body!.getReader()
    expect(callee.resumes).toBe(0)
    let sent = 0
    while (callee.receiver.onData(bytes(`${sent++}`))) expect(sent).toBeLessThan(100)
    expect(sent).toBe(4)
    await reader.read()
    await callee.until(() => callee.resumes > 0)
    await reader.read()
    expect(callee.resumes).toBe(1)
  })

  it("carries a body much larger than its buffer, pulled by the reader", async () => {
    const { callee, response } = begin()
    const chunk = new Uint8Array(1_000)
    let left = 500
    const pump = () => {
      while (left > 0) {
        left--
        if (!callee.receiver.onData(chunk)) return
      }
      callee.receiver.onEnd(noFields)
    }
    callee.onResume = pump
    const got = await answered(callee, response)
    pump()
    expect(left).toBeGreaterThan(490)
    expect((await got.arrayBuffer()).byteLength).toBe(500_000)
  })

  for (const [method, status] of [
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 205],
    ["GET", 304]
  ] as const) {
    it(`${method} ${status} has no body, and one sent all the same holds nobody up`, async () => {
      const { callee, response } = begin({ method })
      callee.receiver.onHead(responseHead(status, [], { kind: "length", length: 10 }))
      for (let i = 0; i < 10; i++) expect(callee.receiver.onData(bytes("x"))).toBe(true)
      callee.receiver.onEnd(noFields)
      const got = await response
      expect(got.status).toBe(status)
      expect(got.body).toBeNull()
    })
  }

  it("fails, and gives the exchange up, when no web Response can have that status", async () => {
    const { callee, response } = begin()
    callee.receiver.onHead(responseHead(600))
    await expect(response).rejects.toThrow("status 600")
    expect(callee.cancelled?.code).toBe("client_gone")
  })

  it("is a MeshFault when the mesh ends the call before the head", async () => {
    const { callee, response } = begin()
    callee.receiver.onFault(someFault)
    const error = await response.catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(MeshFault)
    const { message: detail, ...fields } = someFault
    expect(error).toMatchObject({ ...fields, detail })
  })

  it("breaks off with the MeshFault when that comes after the head", async () => {
    const { callee, response } = begin()
    const got = await answered(callee, response)
    callee.receiver.onData(bytes("half"))
    callee.receiver.onFault(someFault)
    await expect(got.text()).rejects.toBeInstanceOf(MeshFault)
    expect(callee.cancelled).toBeUndefined()
  })
})

describe("giving up", () => {
  it("dispatches nothing for a signal that was aborted before, and stops the body", async () => {
    const { body, seen } = source([bytes("a")])
    const { callee, response } = begin({ body, signal: AbortSignal.abort() })
    await expect(response).rejects.toMatchObject({ name: "AbortError" })
    expect(callee.call).toBeUndefined()
    expect(seen).toEqual({ pulled: 0, cancelled: true })
  })

  it("cancels the exchange on abort, before the head", async () => {
    const abort = new AbortController()
    const { callee, response } = begin({ signal: abort.signal })
    abort.abort()
    await expect(response).rejects.toMatchObject({ name: "AbortError" })
    expect(callee.cancelled?.code).toBe("client_gone")
  })

  it("cancels the exchange on abort, in the middle of the body", async () => {
    const abort = new AbortController()
    const { callee, response } = begin({ signal: abort.signal })
    const got = await answered(callee, response)
    abort.abort()
    await expect(got.text()).rejects.toMatchObject({ name: "AbortError" })
    expect(callee.cancelled?.code).toBe("client_gone")
  })

  it("cancels the exchange when the body is not wanted", async () => {
    const { callee, response } = begin()
    await (await answered(callee, response)).body?.cancel()
    expect(callee.cancelled?.code).toBe("client_gone")
  })

  it("has no effect once the exchange is over", async () => {
    const abort = new AbortController()
    const { callee, response } = begin({ signal: abort.signal })
    const got = await answered(callee, response)
    callee.receiver.onData(bytes("all"))
    callee.receiver.onEnd(noFields)
    abort.abort()
    expect(await got.text()).toBe("all")
    expect(callee.cancelled).toBeUndefined()
  })
})

describe("the request body", () => {
  it("is written and ended; an empty chunk is not written", async () => {
    const { body } = source([bytes("a"), bytes(""), bytes("b")])
    const { callee } = begin({ method: "POST", body })
    await callee.until(() => callee.ended)
    expect(callee.written).toEqual(["a", "b"])
  })

  it("of bytes is one write", async () => {
    const { callee } = begin({ method: "POST", body: bytes("all") })
    await callee.until(() => callee.ended)
    expect(callee.written).toEqual(["all"])
  })

  it("waits for onWritable after write said enough", async () => {
    const { body, seen } = source([bytes("a"), bytes("b")])
    const { callee } = begin({ method: "POST", body })
    callee.takesMore = false
    await callee.until(() => callee.written.length === 1)
    await Promise.resolve()
    expect(seen.pulled).toBe(1)
    callee.takesMore = true
    callee.receiver.onWritable()
    await callee.until(() => callee.ended)
    expect(callee.written).toEqual(["a", "b"])
  })

  it("is stopped at its source when the response ends first, waiting or held back", async () => {
    for (const takesMore of [true, false]) {
      const { body, seen } = source([bytes("a")], true)
      const { callee, response } = begin({ method: "POST", body })
      callee.takesMore = takesMore
      await callee.until(() => callee.written.length === 1)
      const got = await answered(callee, response)
      callee.receiver.onEnd(noFields)
      expect(await got.text()).toBe("")
      expect(seen.cancelled).toBe(true)
      expect(callee.ended).toBe(false)
    }
  })

  it("that fails cancels the exchange and is the reason", async () => {
    const reason = new Error("disk on fire")
    const body = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(reason) })
    const { callee, response } = begin({ method: "POST", body })
    await expect(response).rejects.toBe(reason)
    expect(callee.cancelled?.message).toBe("the request body could not be read")
    expect(callee.ended).toBe(false)
  })

  it("that fails after the response's end does not break the response", async () => {
    let broken: ((reason: Error) => void) | undefined
    const body = new ReadableStream<Uint8Array>({
      pull: () =>
        new Promise((_, reject) => {
          broken = reject
        })
    })
    const { callee, response } = begin({ method: "POST", body })
    const got = await answered(callee, response)
    callee.receiver.onData(bytes("all"))
    callee.receiver.onEnd(noFields)
    broken?.(new Error("too late"))
    await Promise.resolve()
    expect(await got.text()).toBe("all")
  })

  it("of something else than bytes is refused", async () => {
    // What a program without types may hand over.
    const body: ReadableStream = new ReadableStream({
      pull: (controller) => controller.enqueue("text")
    })
    const { callee, response } = begin({ method: "POST", body })
    await expect(response).rejects.toThrow("not a Uint8Array")
    expect(callee.cancelled?.code).toBe("client_gone")
  })
})
