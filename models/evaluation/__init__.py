"""How good a scene model is: picture sets enter, figures and one page that shows them leave."""
