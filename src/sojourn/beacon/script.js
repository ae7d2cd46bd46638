// The page's side of the beacon. Minified by hand, and served without comments and indentation: under 1,000 bytes.
// No inline code and no eval: it works under a strict Content-Security-Policy. INTERVAL is put in when it is served.
//
// e: our element; p: the path last reported; s: the last sign of a person; t: the last beacon; v: the page is visible.
((d,l,h,now,on)=>{
// Turbo and its kind run the scripts of a page again at each visit.
if(h.sojourn)return;
h.sojourn=1;
let e=d.currentScript,p=l.pathname,s=now(),t=s,v=!d.hidden,
send=kind=>{
  t=now();
  navigator.sendBeacon?.(e.src.replace(/\.js(\?.*)?$/,""),JSON.stringify({kind,page:(l.pathname+l.search).slice(0,1500)}))
},
view=k=>{v&&(k||p!=l.pathname)&&(p=l.pathname,send(k||"page_view"))},
come=k=>{v=1;s=now();view(k)},
// A page untouched for a minute was left before it was hidden: a screen that locks itself is no activity.
leave=()=>{v&&now()-s<6e4&&send("activity");v=0};
// Media events do not bubble, hence capture; of scrolling only the page's own counts: carousels scroll by themselves.
for(let n of["pointerdown","pointermove","keydown","scroll","timeupdate"])
  on(n,i=>{n[0]=="t"&&i.target.muted||(s=now())},{capture:n!="scroll",passive:1});
if(!e.dataset.noRoutes){
  for(let n of["pushState","replaceState"]){
    let own=h[n];
    h[n]=function(){own.apply(h,arguments);view()}
  }
  on("popstate",()=>view())
}
on("visibilitychange",()=>d.hidden?leave():come());
on("pagehide",leave);
on("pageshow",i=>i.persisted&&come("restored"));
setInterval(()=>v&&s>t&&send("activity"),INTERVAL)
})(document,location,history,Date.now,addEventListener)
