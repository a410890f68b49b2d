import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { client } from "@/api/client";
import { forgetKey, saveKey, useKey } from "@/api/key";
import { problemOf, ServiceProblem } from "@/api/problems";
import { Button } from "@/ui/Button";
import { TextField } from "@/ui/Field";
import { Message } from "@/ui/Message";
import { ACCESS } from "./queries";

/** Shows *children*, or asks for a key if the service refuses to answer without a valid one. */
export function KeyGate({ children }: { children: ReactNode }) {
  const key = useKey();
  const access = useQuery({
    queryKey: [ACCESS, key],
    queryFn: async () => {
      const { response, error } = await client.GET("/v1/voice");
      // Every other problem is told by the view that meets it.
      if (response.status === 401 || response.status === 429) throw problemOf(response, error);
      return true;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [wasOpen, setWasOpen] = useState(false);
  if (access.isSuccess && !wasOpen) setWasOpen(true);
  const problem = access.error;
  const refused =
    problem instanceof ServiceProblem && (problem.status === 401 || problem.reason === "wrong_keys")
      ? problem
      : null;
  return (
    <>
      {refused && <KeyForm refused={key !== null ? refused : null} />}
      {/* If a key stops being valid, what the creator works on is still there after they enter another one. */}
      {(refused === null || wasOpen) && <div hidden={refused !== null}>{children}</div>}
    </>
  );
}

function KeyForm({ refused }: { refused: ServiceProblem | null }) {
  const [value, setValue] = useState("");
  const [remember, setRemember] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value.trim()) saveKey(value.trim(), remember);
  };
  return (
    <form onSubmit={submit} className="mx-auto mt-10 flex max-w-md flex-col gap-5">
      <h1 className="text-2xl font-extrabold">This service asks for a key</h1>
      <p className="text-muted">
        The person who runs it gives you one. It says whose voice and feedback is whose; nobody else can see
        yours.
      </p>
      {refused && (
        <Message kind="problem">
          {refused.reason === "wrong_keys"
            ? "Too many wrong keys came from here. Wait a minute, then enter the right one."
            : "The service doesn't know this key: it is mistyped, expired or revoked. Enter another one, or ask for a new one."}
        </Message>
      )}
      <TextField
        label="Your key"
        type="password"
        autoComplete="off"
        required
        value={value}
        onChange={(event) => setValue(event.target.value)}
      />
      <label className="flex min-h-11 items-center gap-3">
        <input
          type="checkbox"
          className="size-5 accent-accent"
          checked={remember}
          onChange={(event) => setRemember(event.target.checked)}
        />
        Remember it on this device
      </label>
      <Button kind="primary" type="submit">
        Continue
      </Button>
      {refused && <Button onClick={forgetKey}>Forget this key</Button>}
    </form>
  );
}
