/**
 * The bytes and events of one call on its way out: it keeps the caller's side steady while attempts
 * come and go. It is called from two sides, the caller (RequestStream) and the attempt under way
 * (AttemptOwner); what then happens, the steps of the Stack say (CallAttempts, OutboundCall).
 */
import {
  type Fields,
  fieldValue,
  type RequestStream,
  type ResponseHead
} from "../../model/Exchange.ts"
import { type Fault, faultKinds } from "../../model/Fault.ts"
import { grpcOfHttp, readGrpcStatus } from "../../model/GrpcStatus.ts"
import type { Outcome } from "../../model/Observer.ts"
import {
  classifyFault,
  classifyGrpc,
  classifyStatus,
  type Verdict,
  verdicts
} from "../policy/Classifier.ts"
import { pushbackOf } from "../policy/RetryPushback.ts"
import type { Attempt } from "./Attempt.ts"
import { CallAttempts } from "./CallAttempts.ts"

export class OutboundExchange extends CallAttempts implements RequestStream {
  // ── The caller ──────────────────────────────────────────────────────────────────────────────

  write(chunk: Uint8Array): boolean {
    if (this.over) return true
    try {
      const now = this.clock.active()
      this.clock.written(now, this.body.awaited, this.attempt?.startedAt ?? now)
      return this.body.write(chunk)
    } catch (error) {
      this.broke(error)
      return true
    }
  }

  end(trailers: Fields): void {
    if (this.over) return
    try {
      this.body.end(trailers)
      this.tellSent()
      this.endTunnel()
    } catch (error) {
      this.broke(error)
    }
  }

  resume(): void {
    if (this.over) return
    try {
      this.clock.active()
      this.callerPaused = false
      this.attempt?.stream?.resume()
    } catch (error) {
      this.broke(error)
    }
  }

  cancel(fault: Fault): void {
    if (this.over) return
    const now = this.clock.active()
    try {
      if (this.tunnel) this.body.flush()
    } catch (error) {
      this.defect(error)
    }
    // An answer that had begun well counts as one, though it was not wanted to its end.
    if (this.committed && !this.grpc) this.attempt?.settle(verdicts.success, now)
    else this.attempt?.abandon(now)
    // Whatever was sent again has not helped this caller, unless it got its tunnel by it.
    this.judge(this.told ? verdicts.success : verdicts.timeout, now)
    this.finish({ kind: "fault", code: fault.code, message: fault.message }, fault)
  }

  // ── The attempt under way ───────────────────────────────────────────────────────────────────

  attemptInfo(head: ResponseHead): void {
    this.clock.active()
    if (head.status === 100) {
      // The caller sends its body at the first one; later attempts are given the copy.
      if (this.continued) return
      this.continued = true
    }
    this.receiver.onInfo(head)
  }

  attemptHead(attempt: Attempt, head: ResponseHead): void {
    const now = this.clock.active()
    this.stack.calls.answered(this, now)
    if (this.call.kind === "tcp") {
      this.accepted(attempt, head, now)
      return
    }
    const grpc = this.grpc
    const grpcStatus = grpc ? fieldValue(head.fields, "grpc-status") : undefined
    this.grpcStatus = grpcStatus
    const verdict =
      grpcStatus === undefined ? classifyStatus(head.status) : classifyGrpc(grpcStatus)
    attempt.answered(verdict, now)
    // To a policy that names it, any status of gRPC but OK may be one.
    const isFailed = verdict.conditions.length > 0 || (verdict !== verdicts.success && grpc)
    if (isFailed && this.passedOver(attempt, head, verdict, now)) return
    this.commit()
    if (!grpc || grpcStatus !== undefined) this.judge(verdict, now)
    this.status = head.status
    if (head.status === 101) this.becomeTunnel()
    // How the response ends is part of the verdict. But a circuit does not wait for the end of a
    // long download to learn that its endpoint is well, and how a tunnel ends says nothing.
    if (this.tunnel || (attempt.probing && !grpc)) attempt.settle(verdict, now)
    this.plan.latency.record(now - this.startedAt)
    try {
      this.observation.responded(head.status)
    } catch (error) {
      this.defect(error)
    }
    this.receiver.onHead(head)
  }

  /** A response that another endpoint might do better: true when one is asked. */
  protected passedOver(
    attempt: Attempt,
    head: ResponseHead,
    verdict: Verdict,
    now: number
  ): boolean {
    attempt.settle(verdict, now)
    this.reached = true
    const retryAfter = fieldValue(head.fields, "retry-after")
    if (!this.grpc) return this.followed(attempt, { verdict, retryAfter }, now)
    const grpc =
      this.grpcStatus === undefined ? grpcOfHttp(head.status) : readGrpcStatus(this.grpcStatus)
    const pushback = pushbackOf(head.fields)
    return this.followed(attempt, { verdict, retryAfter, grpc, pushback }, now)
  }

  protected becomeTunnel(): void {
    this.tunnel = true
    this.stack.calls.tunnelled(this)
    this.clock.relimit(this.stack.tunnelIdleTimeout)
  }

  /**
   * A program has accepted a tunnel. The caller is told once: an attempt that breaks off before a
   * byte was said either way may be followed by another.
   */
  protected accepted(attempt: Attempt, head: ResponseHead, now: number): void {
    if (attempt.probing) attempt.settle(verdicts.success, now)
    if (this.told) return
    this.told = true
    this.receiver.onHead(head)
  }

  attemptData(chunk: Uint8Array): boolean {
    const now = this.clock.active()
    this.bytesOut += chunk.length
    if (!this.committed) {
      // The first bytes of a TCP tunnel.
      this.commit()
      this.attempt?.settle(verdicts.success, now)
      this.judge(verdicts.success, now)
    }
    const more = this.receiver.onData(chunk)
    if (!more) this.callerPaused = true
    return more
  }

  attemptEnd(trailers: Fields): void {
    const grpcStatus = this.grpc
      ? (fieldValue(trailers, "grpc-status") ?? this.grpcStatus)
      : undefined
    this.grpcStatus = grpcStatus
    const verdict = grpcStatus === undefined ? verdicts.success : classifyGrpc(grpcStatus)
    const now = this.clock.active()
    this.attempt?.settle(verdict, now)
    this.judge(verdict, now)
    if (this.tunnel && !this.body.sent) {
      this.commit()
      this.answered = true
    } else this.finish(this.completed, undefined)
    this.receiver.onEnd(trailers)
  }

  attemptFault(attempt: Attempt, fault: Fault): void {
    const now = this.clock.active()
    const { calls } = this.stack
    const excused = calls.excuses(this, fault, now)
    calls.answered(this, now)
    const verdict = this.verdictOf(fault)
    // What is the request's fault, or comes of the caller's haste, is no verdict on the endpoint.
    if (verdict === verdicts.refused || excused) attempt.abandon(now)
    else if (verdict === verdicts.overflow) attempt.abandon(now, "no_room")
    else attempt.settle(verdict, now)
    attempt.close(undefined)
    if (fault.sent) this.reached = true
    const retryAfter = fault.retryAfter === undefined ? undefined : String(fault.retryAfter)
    const grpc = this.grpc ? faultKinds[fault.code].grpc : undefined
    if (this.followed(attempt, { verdict, retryAfter, grpc }, now)) return
    this.judge(verdict, now)
    this.fail(fault)
  }

  /**
   * Nothing of the call has left, so it goes where there is a link, or where one may be made sooner. Where
   * nobody else is within reach, or no other attempt is to follow, failing it would help nobody.
   */
  attemptLate(attempt: Attempt, fault: Fault): boolean {
    // Whoever has named the endpoint knows when it is worth while to ask again.
    if (this.call.only !== undefined) return false
    if (attempt.stays) return true
    const now = this.clock.active()
    const { all } = this.plan.selection(now).candidates
    if (all.some((other) => other !== attempt.endpoint && !other.unreachable)) {
      const verdict = classifyFault(fault)
      const failure = { verdict, retryAfter: undefined, waitsOn: true }
      attempt.stays = !this.followed(attempt, failure, now)
    }
    return true
  }

  attemptWritable(): void {
    this.clock.drained(this.clock.active())
    this.body.writable()
    this.tellSent()
    this.endTunnel()
    this.tellCaller()
  }

  /**
   * A refusal of a request with a body that breaks off was a whole one, as a rule: its program
   * closed with the rest of the upload unread, and the system reset the end of the answer away.
   */
  protected verdictOf(fault: Fault): Verdict {
    if (!this.committed) return classifyFault(fault)
    return this.status >= 300 && this.hasBody ? classifyStatus(this.status) : verdicts.reset
  }

  /** The response begins to reach the caller. */
  protected commit(): void {
    this.committed = true
    this.body.release()
  }

  /** Once both halves have ended, and the caller's is on its way. */
  protected endTunnel(): void {
    if (!this.answered || !this.body.sent || this.over) return
    this.finish(this.completed, undefined)
  }

  protected get completed(): Outcome {
    const grpc = this.grpc && !this.tunnel ? readGrpcStatus(this.grpcStatus) : undefined
    return { kind: "complete", status: this.status, grpc }
  }
}
