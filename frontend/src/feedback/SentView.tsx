export function SentView() {
  return <h1 className="text-2xl font-extrabold">What you have sent</h1>;
}
